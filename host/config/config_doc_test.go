package config_test

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/auricle-dev/auricle/host/config"
)

// The tables of docs/config.md are what the code says of its keys.
func TestDocumentedKeysAreTheCodes(t *testing.T) {
	text, err := os.ReadFile("../../docs/config.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, k := range config.Reference() {
		if row := documented(k); !strings.Contains(string(text), row) {
			t.Errorf("%s: docs/config.md lacks the row\n%s", k.Path, row)
		}
	}
}

// documented returns k's row in docs/config.md.
func documented(k config.Key) string {
	code := func(s string) string {
		if s == "" {
			return "–"
		}
		return "`" + s + "`"
	}
	bounds := k.Bounds()
	if bounds == "" {
		bounds = "–"
	}
	inApp, ok := strings.CutPrefix(k.Path, "app.")
	if !ok {
		inApp, ok = strings.CutPrefix(k.Path, "auth.token.")
	}
	if ok {
		fallback := code(k.Default)
		if k.Required {
			fallback = "required"
		}
		return fmt.Sprintf("| `%s` | %s | %s | %s | %s |\n", inApp, k.Kind, bounds, fallback, k.Doc)
	}
	return fmt.Sprintf("| `%s` | %s | %s | %s | `%s` | %s |\n", k.Path, k.Kind, bounds, code(k.Default), k.Env(), k.Doc)
}
