package config

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/knadh/koanf/providers/confmap"
	"github.com/knadh/koanf/v2"
	"github.com/spf13/pflag"
)

// LoadOptions say where values come from besides the defaults. The zero value
// is the defaults alone.
type LoadOptions struct {
	// Path is the HCL file; problems name it as it is written here. Empty
	// means no file.
	Path string
	// Source is the file's text. Nil means that Path is read.
	Source []byte
	// Environ holds variables as os.Environ returns them. Nil means none.
	Environ []string
	// Flags are the command's. Those that were set and whose names are keys'
	// (see AddFlags) are used, the others are left alone. Nil means none.
	Flags *pflag.FlagSet
}

// Load merges the defaults, the file, the environment and the flags, and
// checks the outcome. The problems are everything found wrong, sorted; with a
// Fault among them the Config holds what could be used, so that its apps can be
// checked in the same run, and must not be served: defaults stand for values
// that are no good, and apps without a module or with a name that is taken are
// left out. A value that a later source replaces is not checked.
//
// Relative paths in the file (data_dir, module) and the default of data_dir
// start at the file's directory; in the environment and in flags, at the
// working directory. Every path is cleaned.
func Load(o LoadOptions) (Config, Problems) {
	ko := koanf.New(".")
	var ps Problems
	load := func(p koanf.Provider, pa koanf.Parser) {
		if err := ko.Load(p, pa); err != nil {
			ps = append(ps, Problem{Pos: Pos{File: o.Path}, What: "merging the configuration: " + err.Error()})
		}
	}

	load(confmap.Provider(defaults(), "."), nil)
	clean := true
	if o.Path != "" || o.Source != nil {
		src, err := o.read()
		if err != nil {
			ps = append(ps, Problem{Pos: Pos{File: o.Path}, What: err.Error(), Do: err.do})
		} else {
			p := &parser{file: o.Path, variables: o.variable}
			load(source(src), p)
			ps = append(ps, p.problems...)
			clean = p.clean
		}
	}
	env := &environment{}
	load(env.provider(o.Environ), nil)
	ps = append(ps, env.problems...)
	if o.Flags != nil {
		load(flagProvider(o.Flags, ko), nil)
	}

	d := &decoder{dir: filepath.Dir(o.Path), clean: clean}
	c := d.config(ko)
	ps = append(ps, d.problems...)
	ps.Sort()
	return c, ps
}

// variable returns the value of an environment variable, "" where it is not set.
func (o LoadOptions) variable(name string) string {
	for i := len(o.Environ) - 1; i >= 0; i-- { // of two the last counts, as for os/exec
		if text, ok := strings.CutPrefix(o.Environ[i], name+"="); ok {
			return text
		}
	}
	return ""
}

// defaults returns the table's defaults by path.
func defaults() map[string]any {
	tree := map[string]any{}
	for _, k := range keys {
		if k.host != nil {
			tree[k.Path] = k.defaultValue()
		}
	}
	return tree
}

// source is a koanf.Provider of a file's text.
type source []byte

func (s source) ReadBytes() ([]byte, error) { return s, nil }

// Read is there for the interface; a source is always read through a parser.
func (s source) Read() (map[string]any, error) {
	return nil, errors.New("config: a file is read through its parser")
}

// fileError is a file that could not be read, and what to do about it.
type fileError struct{ what, do string }

func (e *fileError) Error() string { return e.what }

// read returns the file's text.
func (o LoadOptions) read() ([]byte, *fileError) {
	if o.Source != nil {
		if len(o.Source) > maxFileBytes {
			return nil, tooLarge
		}
		return o.Source, nil
	}
	f, err := os.Open(o.Path)
	if err != nil {
		return nil, unreadable(err)
	}
	defer f.Close()
	if info, err := f.Stat(); err == nil && info.IsDir() {
		return nil, &fileError{"this is a directory", "name the file in it, such as " + filepath.Join(o.Path, "config.hcl")}
	}
	src, err := io.ReadAll(io.LimitReader(f, maxFileBytes+1))
	if err != nil {
		return nil, unreadable(err)
	}
	if len(src) > maxFileBytes {
		return nil, tooLarge
	}
	return src, nil
}

var tooLarge = &fileError{
	what: "the file is larger than " + formatSize(maxFileBytes),
	do:   "is it a configuration file? Make it smaller, or name another with -config",
}

func unreadable(err error) *fileError {
	var at *fs.PathError
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return &fileError{"there is no such file", "name yours with -config, or begin with a copy of the config.hcl that comes with Auricle"}
	case errors.Is(err, fs.ErrPermission):
		return &fileError{"this user may not read the file", "change its owner or mode, or run the host as a user who may"}
	case errors.As(err, &at):
		err = at.Err
	}
	return &fileError{fmt.Sprintf("reading the file: %v", err), "name a file that can be read with -config"}
}
