package config

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/knadh/koanf/providers/env/v2"
)

const envPrefix = "AURICLE_"

// environment reads AURICLE_ variables. Every key outside app blocks has one;
// apps are set by the file only. A variable that is empty counts as not set.
type environment struct{ problems Problems }

// provider returns a koanf provider of the variables in environ.
func (e *environment) provider(environ []string) *env.Env {
	byEnv := map[string]Key{}
	for _, k := range keys {
		if name := k.Env(); name != "" {
			byEnv[name] = k
		}
	}
	return env.Provider(".", env.Opt{
		Prefix:      envPrefix,
		EnvironFunc: func() []string { return environ },
		TransformFunc: func(name, text string) (string, any) {
			k, ok := byEnv[name]
			switch {
			case !ok:
				e.unknown(name, slices.Sorted(maps.Keys(byEnv)))
				return "", nil
			case text == "":
				return "", nil
			}
			return k.Path, value{Form: formUntyped, Text: text, Pos: Pos{File: name}, Origin: fromEnvironment}
		},
	})
}

// unknown warns of a variable that sets nothing. It is no fault: the
// environment is shared, and another program's variables must not stop a host.
func (e *environment) unknown(name string, known []string) {
	if name == TokenVariable || fromKubernetes.MatchString(name) {
		return
	}
	do := "unset it (known: " + strings.Join(known, ", ") + ")"
	switch k := nearest(name, known); {
	case strings.HasPrefix(name, envPrefix+"APP_"):
		do = "set apps in the configuration file"
	case k != "":
		do = fmt.Sprintf("did you mean %s?", k)
	default:
		inBlock := func(k string) bool { return strings.HasPrefix(k, name+"_") }
		if slices.ContainsFunc(known, inBlock) {
			do = "set the keys in it: " + strings.Join(slices.DeleteFunc(slices.Clone(known), func(k string) bool { return !inBlock(k) }), ", ")
		}
	}
	e.problems = append(e.problems, Problem{
		Pos: Pos{File: short(name)}, Severity: Warning,
		What: "this variable sets nothing", Do: do,
	})
}

// fromKubernetes matches what Kubernetes puts into every container beside a
// service named auricle.
var fromKubernetes = regexp.MustCompile(`^AURICLE_(SERVICE_HOST|SERVICE_PORT(_.*)?|PORT(_[0-9]+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)?)$`)
