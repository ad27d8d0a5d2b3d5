// The hello server that std.http is compared with: http ADDRESS
package main

import (
	"io"
	"net/http"
	"os"
)

func main() {
	http.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/plain")
		io.WriteString(w, "Hello, world!\n")
	})
	panic(http.ListenAndServe(os.Args[1], nil))
}
