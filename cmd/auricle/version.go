package main

import (
	"encoding/json"
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
)

// release is set by the linker (-ldflags "-X main.release=v1.2.3") for builds
// whose version Go can't stamp. Empty takes what it did stamp.
var release string

// wazeroPath is the module that runs the apps; which release of it was built
// in is what people ask first when a module behaves oddly.
const wazeroPath = "github.com/tetratelabs/wazero"

// versionInfo is what `auricle version` prints.
type versionInfo struct {
	Version  string `json:"version"`            // the module's, or "devel"
	Revision string `json:"revision,omitempty"` // of the source; "+dirty" when it was changed
	Go       string `json:"go"`
	Wazero   string `json:"wazero"`
	Platform string `json:"platform"` // GOOS/GOARCH
}

// version reads what the Go toolchain stamped into the binary.
func version() versionInfo {
	v := versionInfo{Version: "devel", Go: runtime.Version(), Wazero: "unknown", Platform: runtime.GOOS + "/" + runtime.GOARCH}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return v
	}
	if m := info.Main.Version; m != "" && m != "(devel)" {
		v.Version = m
	}
	for _, dep := range info.Deps {
		if dep.Path != wazeroPath {
			continue
		}
		v.Wazero = dep.Version
		if dep.Replace != nil {
			v.Wazero = dep.Replace.Version
		}
	}
	if release != "" {
		v.Version = release
	}
	dirty := false
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			v.Revision = s.Value
		case "vcs.modified":
			dirty = s.Value == "true"
		}
	}
	if v.Revision != "" && dirty {
		v.Revision += "+dirty"
	}
	return v
}

func newVersionCommand() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "version",
		Short: "Print the versions of auricle, Go and wazero",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			v, out := version(), cmd.OutOrStdout()
			if asJSON {
				return json.NewEncoder(out).Encode(v)
			}
			if v.Revision != "" {
				v.Version += " (" + v.Revision + ")"
			}
			_, err := fmt.Fprintf(out, "auricle %s\ngo      %s\nwazero  %s\nsystem  %s\n", v.Version, v.Go, v.Wazero, v.Platform)
			return err
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}
