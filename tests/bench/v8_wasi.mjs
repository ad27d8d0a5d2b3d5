// node v8_wasi.mjs MODULE: runs a WASI program.
import { readFileSync } from "node:fs";
import { argv } from "node:process";
import { WASI } from "node:wasi";

const wasi = new WASI({ version: "preview1", args: [argv[2]] });
const module = new WebAssembly.Module(readFileSync(argv[2]));
wasi.start(new WebAssembly.Instance(module, wasi.getImportObject()));
