package main

import (
	"slices"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

func TestLongFlagsTakeOneDash(t *testing.T) {
	for _, tt := range []struct {
		name     string
		in, want []string
	}{
		{"one dash", []string{"stream", "-json", "x"}, []string{"stream", "--json", "x"}},
		{"two dashes", []string{"stream", "--json"}, []string{"stream", "--json"}},
		{"with a value", []string{"stream", "-speed", "4", "-uid=ana"}, []string{"stream", "--speed", "4", "--uid=ana"}},
		{"a value that looks like a flag", []string{"stream", "-uid", "-json", "-json"}, []string{"stream", "--uid", "-json", "--json"}},
		{"a negative number", []string{"stream", "-speed", "-1", "-2"}, []string{"stream", "--speed", "-1", "-2"}},
		{"one letter", []string{"stream", "-h", "-"}, []string{"stream", "-h", "-"}},
		{"after a bare --", []string{"stream", "--", "-json"}, []string{"stream", "--", "-json"}},
		{"an unknown flag", []string{"-spede", "4"}, []string{"--spede", "4"}},
		{"nothing", nil, []string{}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := longFlags(newRootCommand(), tt.in); !slices.Equal(got, tt.want) {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

// longFlags tells by a flag's name whether a value follows, before it is known
// whose flag it is; so a name must mean the same with every command.
func TestFlagNamesMeanOneKind(t *testing.T) {
	wantsValue := map[string]bool{}
	eachCommand(newRootCommand(), func(c *cobra.Command) {
		c.Flags().VisitAll(func(f *pflag.Flag) {
			wants := f.NoOptDefVal == ""
			if before, seen := wantsValue[f.Name]; seen && before != wants {
				t.Errorf("-%s of %s takes a value with one command and none with another", f.Name, c.CommandPath())
			}
			wantsValue[f.Name] = wants
		})
	})
}

func TestEveryCommandHasHelp(t *testing.T) {
	eachCommand(newRootCommand(), func(c *cobra.Command) {
		if c.Short == "" || c.RunE == nil || c.Args == nil {
			t.Errorf("%s: a command needs a Short, Args and RunE", c.CommandPath())
		}
		if c.HasParent() && !c.HasSubCommands() && c.Name() != "version" && c.Example == "" {
			t.Errorf("%s has no example", c.CommandPath())
		}
	})
}
