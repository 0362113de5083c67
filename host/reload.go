package host

import (
	"context"
	"errors"
	"fmt"

	"github.com/hashicorp/go-hclog"

	"github.com/auricle-dev/auricle/host/api"
	"github.com/auricle-dev/auricle/host/apps"
	"github.com/auricle-dev/auricle/host/config"
)

// ReloadReport says what a reload has changed.
type ReloadReport = api.ReloadReport

// keyLogLevel is what a reload applies besides the apps. All other keys are read
// when the host starts.
const keyLogLevel = "log_level"

// reloads is what Reload needs from one time to the next.
type reloads struct {
	read func() (config.Config, config.Problems) // Options.Reload

	turn     chan struct{} // holds a token while somebody reloads, and from shutdown on
	inForce  config.Config // but for its apps; belongs to whoever has the turn
	stopping <-chan struct{}
}

func newReloads(o Options, stopping <-chan struct{}) *reloads {
	return &reloads{read: o.Reload, turn: make(chan struct{}, 1), inForce: o.Config, stopping: stopping}
}

// begin takes the turn for a reload, after one that runs. The context that it
// returns ends with ctx and when the host begins to stop. Without an error, end
// must follow.
func (r *reloads) begin(ctx context.Context) (_ context.Context, end func(), err error) {
	ctx, cancel := context.WithCancelCause(ctx)
	watched := make(chan struct{})
	go func() { // ends with ctx, which end and a failure below cancel; both wait for it
		defer close(watched)
		select {
		case <-r.stopping:
			cancel(errStopping)
		case <-ctx.Done():
		}
	}()
	stop := func() { cancel(nil); <-watched }
	select {
	case r.turn <- struct{}{}:
		return ctx, func() { stop(); <-r.turn }, nil
	case <-ctx.Done():
		err = context.Cause(ctx)
		stop()
		return nil, nil, err
	}
}

// over returns why a reload that has ctx is not to change anything any more, nil
// when it may. It does not rely on whoever cancels ctx having had its turn.
func (r *reloads) over(ctx context.Context) error {
	select {
	case <-r.stopping:
		return errStopping
	default:
		return context.Cause(ctx)
	}
}

// close waits for a reload that runs, and lets none begin any more.
func (r *reloads) close(ctx context.Context) error {
	select {
	case r.turn <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Reload reads the configuration again, through Options.Reload, and puts it in
// force: apps, and the level of the log. What else is different in it is in the
// report, and takes hold at the next start.
//
// Everything is loaded and checked before anything is changed: with an error,
// which is a config.Problems where the configuration is at fault, all is as it
// was. Streams and sessions go on. An app that has not changed goes on too; one
// that was changed or removed is let go when its running invocations have
// ended, which Reload does not wait for.
//
// One reload runs at a time, others wait for their turn. ctx's end, and
// Shutdown, end it with nothing changed.
func (h *Host) Reload(ctx context.Context) (ReloadReport, error) {
	report, err := h.reload(ctx)
	var problems config.Problems
	switch {
	case errors.As(err, &problems):
		h.logProblems(problems)
		h.log.Error("the configuration was not reloaded: nothing was changed", "problems", len(problems))
	case err != nil:
		h.log.Error("the configuration was not reloaded: nothing was changed", "error", err)
	}
	return report, err
}

func (h *Host) reload(ctx context.Context) (ReloadReport, error) {
	r := h.reloads
	if r.read == nil {
		return ReloadReport{}, errors.New("reloading: this host was given no way to read its configuration again")
	}
	ctx, end, err := r.begin(ctx)
	if err != nil {
		return ReloadReport{}, fmt.Errorf("reloading: %w", err)
	}
	defer end()
	next, problems := r.read()
	// The modules are looked at even so: everything wrong is told in one run.
	change, found := h.apps.Plan(ctx, h.engine, next.Apps)
	problems = append(problems, found...)
	problems.Sort()
	err = problems.Err()
	if over := r.over(ctx); over != nil { // and found is full of that
		err = fmt.Errorf("reloading: %w", over)
	}
	if err != nil {
		if change != nil {
			change.Discard()
		}
		return ReloadReport{}, err
	}
	h.logProblems(problems)

	change.Apply()
	h.dispatch.Replace(h.apps.All(), h.retire)
	h.jobs.Wake() // what waits for an app may find it now
	report := ReloadReport{
		Kept: listed(change.Kept), Added: listed(change.Added), Changed: listed(change.Changed), Removed: listed(change.Removed),
		Applied: []string{}, Restart: []api.RestartKey{}, Warnings: []string{},
	}
	for _, p := range problems {
		report.Warnings = append(report.Warnings, p.String())
	}
	for _, k := range r.inForce.Changed(next) {
		if k.Path == keyLogLevel {
			h.log.SetLevel(hclog.LevelFromString(next.LogLevel))
			report.Applied = append(report.Applied, k.Path)
			continue
		}
		report.Restart = append(report.Restart, api.RestartKey{Key: k.Path, At: next.Pos[k.Path].String()})
	}
	r.inForce.LogLevel = next.LogLevel
	h.logReload(report)
	return report, nil
}

// listed makes a list that is never nil.
func listed(names []string) []string { return append([]string{}, names...) }

// retire closes an app that was changed or removed. Dispatch calls it when the
// app's last invocation has ended, so that nothing is waited for.
func (h *Host) retire(a *apps.App) {
	if err := a.Close(context.Background()); err != nil {
		h.log.Error("closing an app that was replaced", "app", a.Name, "error", err)
	}
}

func (h *Host) logProblems(problems config.Problems) {
	for _, p := range problems {
		if p.Severity == config.Warning {
			h.log.Warn(p.String())
			continue
		}
		h.log.Error(p.String())
	}
}

// logReload says what a reload changed, a line for each app.
func (h *Host) logReload(r ReloadReport) {
	for _, of := range []struct {
		change string
		names  []string
	}{
		{"kept", r.Kept}, {"added", r.Added}, {"changed", r.Changed}, {"removed", r.Removed},
	} {
		for _, name := range of.names {
			h.log.Info("app "+of.change, "app", name)
		}
	}
	for _, k := range r.Restart {
		h.log.Warn("takes hold at the next start only", "key", k.Key, "at", k.At)
	}
	h.log.Info("configuration reloaded", "kept", len(r.Kept), "added", len(r.Added), "changed", len(r.Changed), "removed", len(r.Removed))
}
