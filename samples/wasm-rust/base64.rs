//! Encodes and decodes base64: base64 [-d] [-w COLUMNS] [FILE].
use std::env;
use std::fs::File;
use std::io::{self, Read, Write};
use std::process::exit;

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

fn encode(bytes: &[u8], columns: usize) -> Vec<u8> {
    let mut digits = Vec::with_capacity(bytes.len() / 3 * 4 + 4);
    for chunk in bytes.chunks(3) {
        let mut group = [0u8; 3];
        group[..chunk.len()].copy_from_slice(chunk);
        let bits = u32::from_be_bytes([0, group[0], group[1], group[2]]);
        for i in 0..4 {
            digits.push(if i <= chunk.len() {
                ALPHABET[(bits >> (18 - 6 * i)) as usize & 63]
            } else {
                b'='
            });
        }
    }
    if columns == 0 {
        return digits;
    }
    let mut lines = Vec::with_capacity(digits.len() + digits.len() / columns + 1);
    for line in digits.chunks(columns) {
        lines.extend_from_slice(line);
        lines.push(b'\n');
    }
    lines
}

fn decode(text: &[u8]) -> Option<Vec<u8>> {
    let digits: Vec<u8> = text.iter().copied().filter(|&c| c != b'\n').collect();
    if digits.len() % 4 != 0 {
        return None;
    }
    let mut bytes = Vec::with_capacity(digits.len() / 4 * 3);
    let groups = digits.len() / 4;
    for (number, group) in digits.chunks(4).enumerate() {
        let padding = group.iter().rev().take_while(|&&c| c == b'=').count();
        if padding > 2 || (padding > 0 && number + 1 != groups) {
            return None;
        }
        let mut bits = 0u32;
        for &digit in &group[..4 - padding] {
            let value = ALPHABET.iter().position(|&c| c == digit)?;
            bits = bits << 6 | value as u32;
        }
        bits <<= 6 * padding;
        bytes.extend_from_slice(&bits.to_be_bytes()[1..4 - padding]);
    }
    Some(bytes)
}

fn run() -> Result<(), String> {
    let mut decoding = false;
    let mut columns = 76;
    let mut file = None;
    let mut arguments = env::args().skip(1);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "-d" => decoding = true,
            "-w" => {
                let text = arguments.next().ok_or("-w needs a number")?;
                columns = text.parse().map_err(|_| format!("invalid width: {}", text))?;
            }
            _ => file = Some(argument),
        }
    }

    let mut input = Vec::new();
    match &file {
        Some(name) => File::open(name).and_then(|mut file| file.read_to_end(&mut input)),
        None => io::stdin().read_to_end(&mut input),
    }
    .map_err(|error| format!("{}: {}", file.as_deref().unwrap_or("input"), error))?;
    let output = if decoding {
        decode(&input).ok_or("invalid input")?
    } else {
        encode(&input, columns)
    };
    io::stdout().write_all(&output).map_err(|error| error.to_string())
}

fn main() {
    if let Err(message) = run() {
        eprintln!("base64: {}", message);
        exit(1);
    }
}
