// Command sumtree prints the SHA-512 hashes of all files below directories, by name: sumtree [-skip
// PATTERN] [DIRECTORY...]. Without directories it hashes standard input.
package main

import (
	"crypto/sha512"
	"encoding/hex"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

func hash(reader io.Reader) (string, error) {
	state := sha512.New()
	if _, err := io.Copy(state, reader); err != nil {
		return "", err
	}
	return hex.EncodeToString(state.Sum(nil)), nil
}

func hashFile(path string) (string, error) {
	file, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer file.Close()
	return hash(file)
}

func walk(root, skip string) error {
	return filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() {
			return err
		}
		if matches, err := filepath.Match(skip, entry.Name()); err != nil || matches {
			return err
		}
		sum, err := hashFile(path)
		if err == nil {
			fmt.Printf("%s  %s\n", sum, path)
		}
		return err
	})
}

func main() {
	skip := flag.String("skip", "", "leave out files whose name matches `PATTERN`")
	flag.Parse()
	if flag.NArg() == 0 {
		sum, err := hash(os.Stdin)
		if err != nil {
			fmt.Fprintln(os.Stderr, "sumtree:", err)
			os.Exit(1)
		}
		fmt.Printf("%s  -\n", sum)
	}
	for _, root := range flag.Args() {
		if err := walk(root, *skip); err != nil {
			fmt.Fprintln(os.Stderr, "sumtree:", err)
			os.Exit(1)
		}
	}
}
