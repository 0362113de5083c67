package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/auricle-dev/auricle/host"
)

// maxAnswerBytes bounds what is read of a host's answer.
const maxAnswerBytes = 16 << 20

func newReloadCommand() *cobra.Command {
	var addr string
	cmd := &cobra.Command{
		Use:   "reload [flags]",
		Short: "Have a running host read its configuration again",
		Long: `Has the host at an address read its configuration again, as SIGHUP does, and
prints what became of its apps: kept, added, changed or removed. Streams go on.

A configuration with faults changes nothing. They are printed, each as

  config.hcl:14:3: what is wrong; what to do

with exit code 1. What takes hold at the host's next start only is named.`,
		Example: `  auricle reload
  auricle reload -addr 127.0.0.1:8000`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return runReload(cmd.Context(), addr, cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
	}
	cmd.Flags().StringVar(&addr, "addr", "127.0.0.1:7080", "the host's `ADDRESS`: host:port, or an http:// URL")
	return cmd
}

// runReload asks a host to reload and prints what it answers.
func runReload(ctx context.Context, addr string, stdout, stderr io.Writer) error {
	base := addr
	if !strings.Contains(base, "://") {
		base = "http://" + base
	}
	u, err := url.Parse(base)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return usagef("-addr %q is no address; write it like 127.0.0.1:7080", addr)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, u.JoinPath("v1", "reload").String(), nil)
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req) // the host bounds how long it takes
	if err != nil {
		if errors.Is(err, syscall.ECONNREFUSED) {
			return fmt.Errorf("nothing listens at %s; is the host running? start it with \"auricle serve\"", u.Host)
		}
		return err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswerBytes))
	if err != nil {
		return fmt.Errorf("reading the host's answer: %w", err)
	}
	if resp.StatusCode != http.StatusOK {
		return reloadRefused(resp.Status, body, stderr)
	}
	var report host.ReloadReport
	if err := json.Unmarshal(body, &report); err != nil {
		return fmt.Errorf("%s is no host of Auricle's: %w", u.Host, err)
	}
	printReload(report, stdout, stderr)
	return nil
}

// reloadRefused prints what is wrong with the configuration, and returns what
// else the host says.
func reloadRefused(status string, body []byte, stderr io.Writer) error {
	var answer struct {
		Error    struct{ Message string }
		Problems []string
	}
	if err := json.Unmarshal(body, &answer); err != nil || answer.Error.Message == "" {
		return fmt.Errorf("the host answered %s", status)
	}
	for _, p := range answer.Problems {
		fmt.Fprintln(stderr, p)
	}
	return errors.New(answer.Error.Message)
}

func printReload(r host.ReloadReport, stdout, stderr io.Writer) {
	for _, w := range r.Warnings {
		fmt.Fprintln(stderr, w)
	}
	for _, of := range []struct {
		became string
		names  []string
	}{
		{"kept", r.Kept}, {"added", r.Added}, {"changed", r.Changed}, {"removed", r.Removed}, {"applied", r.Applied},
	} {
		for _, name := range of.names {
			fmt.Fprintf(stdout, "%-8s %s\n", of.became, name)
		}
	}
	for _, k := range r.Restart {
		fmt.Fprintf(stdout, "%-8s %s, at the next start (%s)\n", "restart", k.Key, k.At)
	}
}
