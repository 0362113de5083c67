package config

import (
	"fmt"
	"slices"
	"strings"

	"github.com/agext/levenshtein"
)

// nearest returns the one of known that name was most likely meant to be, or
// "" when none is near.
func nearest(name string, known []string) string {
	if len(name) > 4*maxAppName {
		return ""
	}
	name = strings.ToLower(name)
	best, least := "", 3 // two slips of the finger are still a slip
	for _, k := range known {
		if len(k) > 2 && strings.HasPrefix(name, k) || len(name) > 2 && strings.HasPrefix(k, name) {
			return k
		}
		d := levenshtein.Distance(name, strings.ToLower(k), nil)
		if d < least && d < len(k) {
			best, least = k, d
		}
	}
	return best
}

// meant asks whether the nearest of known was meant; "" when none is near.
func meant(name string, known []string) string {
	if k := nearest(name, known); k != "" {
		return "did you mean " + k + "?"
	}
	return ""
}

// orElse returns s, or other when s is empty.
func orElse(s, other string) string {
	if s == "" {
		return other
	}
	return s
}

// suggestKey says what to do about the name of a key or block, as what says,
// that is not known in the block at path.
func suggestKey(what, path, name string) string {
	names := namesIn(path)
	do := meant(name, names)
	if do == "" {
		if do = elsewhere(path, name); do != "" {
			return do
		}
	}
	same := slices.DeleteFunc(names, func(n string) bool { return isBlock(join(path, n)) != (what == "block") })
	if len(same) == 0 {
		return orElse(do, "remove it (no "+what+" is known here)")
	}
	return orElse(do, "remove it") + " (known: " + strings.Join(same, ", ") + ")"
}

// elsewhere says where the key or block called name belongs when it is not
// known at path; "" when it is known nowhere.
func elsewhere(path, name string) string {
	if path != "" && isBlock(name) {
		return "move it out of this block, to the top of the file; is a } missing before it?"
	}
	inApp := path == appPath || strings.HasPrefix(path, appPath+".")
	for _, k := range keys {
		block, last := cutLast(k.Path)
		switch {
		case last != name || block == path:
		case block == "":
			return "move it out of this block, to the top of the file"
		case block == appPath && path == "":
			return `move it into an app "…" { … } block`
		case block == appPath && inApp:
			return "move it out of this block, into the app block"
		case (k.app != nil) == inApp:
			return fmt.Sprintf("move it into block %s { … }", strings.TrimPrefix(block, appPath+"."))
		}
	}
	return ""
}

// cutLast cuts path before its last part.
func cutLast(path string) (before, last string) {
	i := strings.LastIndexByte(path, '.')
	if i < 0 {
		return "", path
	}
	return path[:i], path[i+1:]
}
