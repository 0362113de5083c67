package config_test

import (
	"strings"
	"testing"

	"github.com/auricle-dev/auricle/host/config"
)

func TestChangedNamesTheKeys(t *testing.T) {
	const before = `
		drain = "10s"
		pool { workers = 8 }
		app "notes" { module = "notes.wasm" }`
	for _, c := range []struct{ name, after, want string }{
		{"nothing", before, ""},
		{"the same in other words", `
			pool { workers = 8 }
			log_level = "info"
			drain = "10000ms"`, ""},
		{"an app", strings.Replace(before, "notes.wasm", "other.wasm", 1), ""},
		{"a value, and one that went back to its default", `
			pool { workers = 9 }
			log_level = "debug"`, "drain=default log_level=c.hcl:3:16 pool.workers=c.hcl:2:21"},
	} {
		t.Run(c.name, func(t *testing.T) {
			load := func(source string) config.Config {
				t.Helper()
				loaded, problems := config.Load(config.LoadOptions{Path: "c.hcl", Source: []byte(source)})
				if len(problems) > 0 {
					t.Fatal(problems)
				}
				return loaded
			}
			was, next := load(before), load(c.after)
			var got []string
			for _, k := range was.Changed(next) {
				got = append(got, k.Path+"="+next.Pos[k.Path].String())
			}
			if s := strings.Join(got, " "); s != c.want {
				t.Errorf("got %q, want %q", s, c.want)
			}
		})
	}
}
