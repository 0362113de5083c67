// Command auricle runs the host, plays recordings to it, and builds, runs and
// inspects apps. `auricle help` says more; each subcommand has a file here.
//
// It may import everything of ours; nothing imports it.
package main

import (
	"context"
	"os"
)

func main() {
	os.Exit(run(context.Background(), os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}
