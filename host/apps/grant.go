package apps

import (
	"fmt"
	"slices"
	"strings"

	"github.com/auricle-dev/auricle/host/config"
	"github.com/auricle-dev/auricle/sdk/event"
)

// grant works out what the app holds, and reports what it needs and was not
// granted, what it was granted and never asked for, and imports that its
// manifest asks no capability for.
func (l *loading) grant(a *App) {
	wants := a.Manifest.Wants()
	granted := l.config.Grant
	if l.open {
		granted = nil
		for _, w := range wants {
			granted = append(granted, w.Name)
		}
	}
	line := slices.Clone(granted)
	for _, w := range wants {
		if !w.Optional && !slices.Contains(line, w.Name) {
			line = append(line, w.Name)
		}
	}
	for _, w := range wants {
		switch {
		case slices.Contains(granted, w.Name):
			a.held = append(a.held, w.Name)
		case !w.Optional:
			l.fault(l.config.Pos.Grant,
				fmt.Sprintf("it needs %s, which is not granted; its reason: %q", w.Name, printable(clip(strings.TrimSpace(w.Reason), 200))),
				fmt.Sprintf("write %s, or remove the app", GrantLine(line)))
		}
	}
	for i, g := range granted {
		if slices.Contains(a.held, g) {
			continue
		}
		at := l.config.Pos.Grant
		if i < len(l.config.Pos.Grants) {
			at = l.config.Pos.Grants[i]
		}
		l.problems = append(l.problems, config.Problem{
			Pos: firstPos(at, l.config.Pos.Block), Severity: config.Warning,
			What: fmt.Sprintf("%s%s is granted, but its manifest never asks for it", l.title(), g), Do: "remove it from grant",
		})
	}
	acts := slices.ContainsFunc(wants, func(w event.CapabilityRequest) bool { return w.Name.Acts() })
	for _, i := range a.Module.Imports() {
		if i.Module == hostModule && i.Name == importCall && !acts {
			l.fault(l.config.Pos.Module,
				fmt.Sprintf("its module has an import %q %q, which needs %s, and its manifest does not ask for that", i.Module, i.Name, acting()),
				fmt.Sprintf("have its author ask for it; then write %s", GrantLine(append(line, event.CapNotify))))
		}
	}
}

// state works out whether the app's memory is kept for a session, and reports
// where manifest and grant differ.
func (l *loading) state(a *App) {
	asks := a.Manifest.State == event.StateSession
	granted := l.config.State == event.StateSession || l.open
	switch {
	case asks && granted:
		a.state = event.StateSession
	case asks:
		l.fault(l.config.Pos.State,
			fmt.Sprintf("it needs state %q, its memory kept for a user's session, which is not granted", event.StateSession),
			fmt.Sprintf("write state = %q, or remove the app", event.StateSession))
	case l.config.State == event.StateSession:
		l.problems = append(l.problems, config.Problem{
			Pos: firstPos(l.config.Pos.State, l.config.Pos.Block), Severity: config.Warning,
			What: fmt.Sprintf("%sstate %q is granted, but its manifest never asks for it", l.title(), event.StateSession), Do: "remove state",
		})
	}
}

// acting lists the capabilities by which an app acts.
func acting() string {
	var names []string
	for _, c := range event.Capabilities {
		if c.Acts() {
			names = append(names, string(c))
		}
	}
	return strings.Join(names, " or ")
}

// GrantLine returns the configuration's line that grants cs:
// `grant = ["transcript", "notify"]`.
func GrantLine(cs []event.Capability) string {
	var names []string
	for _, c := range cs {
		if q := fmt.Sprintf("%q", string(c)); !slices.Contains(names, q) {
			names = append(names, q)
		}
	}
	return "grant = [" + strings.Join(names, ", ") + "]"
}
