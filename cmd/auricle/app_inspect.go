package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/auricle-dev/auricle/host/apps"
	"github.com/auricle-dev/auricle/sdk/event"
)

func newAppInspectCommand() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "inspect [flags] MODULE",
		Short: "Show what a module is, imports and wants granted",
		Long: `Shows what a module says about itself, what it imports, and what it would need
granted, with an app block to paste into the configuration. The module is loaded
and initialised under limits, and never called with an event.`,
		Example: `  auricle app inspect build/apps/keywords.wasm
  auricle app inspect -json build/apps/keywords.wasm`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return runAppInspect(cmd.Context(), args[0], asJSON, cmd.OutOrStdout())
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

// inspection is what `auricle app inspect -json` prints.
type inspection struct {
	Module string `json:"module"` // path
	apps.Inspection
	Config string `json:"config"` // an app block to paste
}

func runAppInspect(ctx context.Context, path string, asJSON bool, stdout io.Writer) error {
	found, err := inspectApp(ctx, path)
	if err != nil {
		return err
	}
	in := inspection{Module: path, Inspection: found}
	in.Config = appBlock(&in)
	if asJSON {
		return printJSON(stdout, in)
	}
	return printInspection(stdout, &in)
}

// printInspection shows an inspection to people.
func printInspection(w io.Writer, in *inspection) error {
	out := errWriter{w: w}
	m := &in.Manifest
	row := func(name, format string, a ...any) {
		if text := fmt.Sprintf(format, a...); text != "" {
			out.printf("%-12s %s\n", name, text)
		}
	}
	row("name", "%s", printable(m.Name))
	row("version", "%s", printable(m.Version))
	row("description", "%s", printable(m.Description))
	row("author", "%s", printable(m.Author))
	row("homepage", "%s", printable(m.Homepage))
	row("module", "%s, %s, sha256 %s", in.Module, megabytes(in.SizeBytes), in.SHA256)
	row("starts with", "%s of memory, after %s fuel and %s", megabytes(in.MemoryBytes), grouped(in.InitFuel), wallText(time.Duration(in.InitMicros)*time.Microsecond))

	if m.State == event.StateSession {
		row("state", "session: its memory is kept for a user's session")
	}
	if l := m.Limits; l != nil {
		row("suggests", "%s", suggestedLimits(l))
	}
	if in.Reinitialised != "" {
		row("note", "every invocation initialises it anew, which is slower: %s", printable(in.Reinitialised))
	}

	out.printf("\nHandles\n")
	for _, k := range m.Events.Kinds() {
		text := k.String()
		if k == event.KindAudio {
			every := m.Events.Audio.EveryMillis
			if every == 0 {
				every = event.DefaultAudioMillis
			}
			text += fmt.Sprintf(" in pieces of %d ms", every)
		}
		out.printf("  %s\n", text)
	}
	out.printf("\nWants granted\n")
	for _, c := range in.Wants {
		text := printable(c.Reason)
		if c.Optional {
			text += " (optional)"
		}
		out.printf("  %-14s %s\n", printable(string(c.Name)), text)
		for _, h := range c.Hosts {
			out.printf("  %-14s calls %s\n", "", printable(h))
		}
	}

	out.printf("\nImports\n")
	byModule := map[string][]string{}
	for _, i := range in.Imports {
		module, name, _ := strings.Cut(i, ".")
		if name = printable(name); !slices.Contains(byModule[module], name) {
			byModule[module] = append(byModule[module], name)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(byModule)) {
		out.printf("  %s: %s\n", printable(name), strings.Join(byModule[name], ", "))
	}
	if len(m.Settings) > 0 {
		var schema any
		if err := json.Unmarshal(m.Settings, &schema); err != nil {
			return fmt.Errorf("reading the settings' schema: %w", err)
		}
		pretty, err := json.MarshalIndent(schema, "  ", "  ")
		if err != nil {
			return fmt.Errorf("writing the settings' schema: %w", err)
		}
		out.printf("\nSettings (JSON Schema)\n  %s\n", printableLines(string(pretty)))
	}
	out.printf("\nTo install it, paste into config.hcl:\n\n%s", in.Config)
	return out.err
}

// suggestedLimits says in a line what a manifest suggests.
func suggestedLimits(l *event.Limits) string {
	var parts []string
	if l.Fuel > 0 {
		parts = append(parts, grouped(l.Fuel)+" fuel")
	}
	if l.WallMillis > 0 {
		parts = append(parts, fmt.Sprintf("%d ms", l.WallMillis))
	}
	if l.ConversationWallMillis > 0 {
		parts = append(parts, fmt.Sprintf("%d ms for a conversation", l.ConversationWallMillis))
	}
	if l.MemoryBytes > 0 {
		parts = append(parts, megabytes(l.MemoryBytes)+" of memory")
	}
	return "at most " + strings.Join(parts, ", ") + " for an invocation"
}

// appBlock writes the app block that installs the module: everything that it
// wants granted, with the reasons beside it, for every user.
func appBlock(in *inspection) string {
	var b strings.Builder
	m := &in.Manifest
	fmt.Fprintf(&b, "app %s {\n", hclString(m.Name))
	fmt.Fprintf(&b, "  module = %s\n", hclString(in.Module))
	fmt.Fprintf(&b, "  sha256 = %s\n", hclString(in.SHA256))
	fmt.Fprintf(&b, "  users  = [\"*\"]\n")
	if m.State == event.StateSession {
		fmt.Fprintf(&b, "  state  = %q # its memory is kept for a user's session\n", m.State)
	}
	b.WriteString("  grant = [\n")
	for _, c := range in.Wants {
		reason := printable(c.Reason)
		if c.Optional {
			reason = "optional: " + reason
		}
		fmt.Fprintf(&b, "    %s, # %s\n", hclString(string(c.Name)), reason)
	}
	b.WriteString("  ]\n")
	for _, c := range in.Wants {
		if len(c.Hosts) == 0 {
			continue
		}
		b.WriteString("  http {\n    hosts = [\n")
		for _, h := range c.Hosts {
			fmt.Fprintf(&b, "      %s,\n", hclString(h))
		}
		b.WriteString("    ]\n  }\n")
	}
	if names := settingNames(m.Settings); len(names) > 0 {
		b.WriteString("  settings = {\n")
		for _, name := range names {
			fmt.Fprintf(&b, "    # %s\n", name)
		}
		b.WriteString("  }\n")
	}
	b.WriteString("}\n")
	return b.String()
}

// settingNames lists what a settings schema asks for, each as "name (type): description".
func settingNames(schema json.RawMessage) []string {
	var s struct {
		Properties map[string]struct {
			Type        json.RawMessage `json:"type"` // a word, or several in an array
			Description string          `json:"description"`
		} `json:"properties"`
		Required []string `json:"required"`
	}
	if len(schema) == 0 || json.Unmarshal(schema, &s) != nil {
		return nil // a schema of another shape is shown whole by inspect
	}
	var names []string
	for _, name := range slices.Sorted(maps.Keys(s.Properties)) {
		p := s.Properties[name]
		text := printable(name)
		if len(p.Type) > 0 {
			text += " (" + printable(strings.Trim(string(p.Type), `"`)) + ")"
		}
		if slices.Contains(s.Required, name) {
			text += ", required"
		}
		if p.Description != "" {
			text += ": " + printable(p.Description)
		}
		names = append(names, text)
	}
	return names
}

// hclString quotes s for HCL, where ${ and %{ begin a template.
func hclString(s string) string {
	q := printable(s)
	q = strings.NewReplacer(`\`, `\\`, `"`, `\"`, "${", "$${", "%{", "%%{").Replace(q)
	return `"` + q + `"`
}
