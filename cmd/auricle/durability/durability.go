// Package durability measures what the host promises of a person's talk: that
// nothing acknowledged is lost and no effect seen twice, whatever is killed
// and when, and what that costs.
//
// Hosts are processes of their own, of this same command, so that they can be
// killed; clients are real WebSocket connections that resume. What is counted
// is what clients were told, beside what the host's HTTP API has in the end.
package durability

import (
	"embed"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
)

//go:generate sh -c "for f in guests/*.wat; do wat2wasm $f -o ${f%.wat}.wasm; done"

//go:embed guests/*.wasm
var guests embed.FS

// Options say where and with what to measure.
type Options struct {
	Command  []string  // starts this program; the hosts are its "serve"
	Dir      string    // for stores and logs; it must exist
	Progress io.Writer // what is being done, a line each; nil discards
}

func (o Options) say(format string, args ...any) {
	if o.Progress != nil {
		fmt.Fprintf(o.Progress, format+"\n", args...)
	}
}

// apps is how many apps work on each completed conversation.
const apps = 4

// writeConfig writes a host's configuration into dir: so many apps, each of
// which emits one output for a completed conversation, and what extra says.
func writeConfig(dir, listen, extra string) (path string, err error) {
	module, err := guests.ReadFile("guests/tally.wasm")
	if err != nil {
		return "", err
	}
	if err := os.WriteFile(filepath.Join(dir, "tally.wasm"), module, 0o600); err != nil {
		return "", err
	}
	var b strings.Builder
	fmt.Fprintf(&b, "listen = %q\noperators {\n  listen = \"127.0.0.1:0\"\n}\nlog_json = true\n%s\n", listen, extra)
	for i := range apps {
		fmt.Fprintf(&b, "app \"tally%d\" {\n  module = \"tally.wasm\"\n  grant  = [\"conversation\"]\n}\n", i)
	}
	path = filepath.Join(dir, "config.hcl")
	return path, os.WriteFile(path, []byte(b.String()), 0o600)
}
