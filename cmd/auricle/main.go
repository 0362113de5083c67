// Command auricle runs the host, plays recordings to it, and builds, runs and
// inspects apps. `auricle help` says more; each subcommand has a file here.
//
// It may import everything of ours; nothing imports it.
package main

import (
	"context"
	"os"

	"github.com/auricle-dev/auricle/plugins"
)

// compileCommand makes the process one that compiles a module for another. It
// is not for people, so it is no subcommand.
const compileCommand = "compile-module"

// compiler is the command with which a host has its modules compiled; nil in a
// process that can't be started again like this.
var compiler []string

func main() {
	if len(os.Args) > 1 && os.Args[1] == compileCommand {
		os.Exit(plugins.CompileProcess(context.Background(), os.Args[2:], os.Stderr))
	}
	if exe, err := os.Executable(); err == nil {
		compiler = []string{exe, compileCommand}
	}
	if len(os.Args) > 1 && os.Args[1] == benchPartCommand {
		os.Exit(benchPart(context.Background(), os.Args[2:], os.Stdin, os.Stdout, os.Stderr))
	}
	os.Exit(run(context.Background(), os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}
