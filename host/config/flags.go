package config

import (
	"strings"

	"github.com/knadh/koanf/providers/posflag"
	"github.com/knadh/koanf/v2"
	"github.com/spf13/pflag"
)

// AddFlags defines the flags of the keys at paths, or, without paths, of every
// key outside app blocks. Their values are checked by Load with all others, so
// that a command shows every problem in one run. It panics on a path that has
// no flag: a mistake in the program.
func AddFlags(fs *pflag.FlagSet, paths ...string) {
	if len(paths) == 0 {
		for _, k := range keys {
			if k.host != nil {
				paths = append(paths, k.Path)
			}
		}
	}
	for _, path := range paths {
		k, ok := lookup(path)
		if !ok || k.host == nil {
			panic("config: no flag for key " + path)
		}
		first, _, _ := strings.Cut(k.Doc, ". ")
		first = strings.TrimSuffix(first, ".")
		if b := k.Bounds(); b != "" {
			first += " (" + b + ")"
		}
		f := &flag{kind: k.Kind, text: strings.Trim(k.Default, `"`)}
		fs.Var(f, k.Flag(), first)
		if k.Kind == Bool {
			fs.Lookup(k.Flag()).NoOptDefVal = "true"
		}
	}
}

// flag is a pflag.Value that takes any text.
type flag struct {
	kind Kind
	text string
}

func (f *flag) String() string     { return f.text }
func (f *flag) Set(s string) error { f.text = s; return nil }

// Type names the value in help.
func (f *flag) Type() string {
	switch f.kind {
	case Whole:
		return "number"
	case Bool:
		return "bool"
	case Choice:
		return "word"
	}
	return string(f.kind)
}

func flagName(path string) string { return strings.NewReplacer(".", "-", "_", "-").Replace(path) }

// flagProvider returns a koanf provider of the flags that were set.
func flagProvider(fs *pflag.FlagSet, ko *koanf.Koanf) *posflag.Posflag {
	byFlag := map[string]Key{}
	for _, k := range keys {
		if name := k.Flag(); name != "" {
			byFlag[name] = k
		}
	}
	return posflag.ProviderWithFlag(fs, ".", ko, func(f *pflag.Flag) (string, any) {
		k, ok := byFlag[flagName(f.Name)]
		if !ok || !f.Changed {
			return "", nil
		}
		return k.Path, value{Form: formUntyped, Text: f.Value.String(), Pos: Pos{File: "-" + f.Name}, Origin: fromFlag}
	})
}
