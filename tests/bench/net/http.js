// The hello server that std.http is compared with: node http.js PORT
require("http")
  .createServer((request, response) => {
    response.setHeader("Content-Type", "text/plain");
    response.end("Hello, world!\n");
  })
  .listen(Number(process.argv[2]), "127.0.0.1");
