package apps

import (
	"context"
	"errors"
	"slices"
	"sync"

	"github.com/auricle-dev/auricle/host/fetch"
)

// Set is the installed apps, in the configuration's order. It owns their
// modules; Close closes them. A Change puts others in their place.
type Set struct {
	mu   sync.RWMutex // guards apps; the slice itself is never changed
	apps []*App

	keeper Keeper         // of recordings; nil: nothing is recorded
	calls  *fetch.Metrics // of web services; nil: they are not counted
}

// KeepRecordings has the apps' invocations recorded, also those of apps that a
// Change brings, and k keep those that it wants. It must be called before the
// first Invoke.
func (s *Set) KeepRecordings(k Keeper) {
	s.keeper = k
	for _, a := range s.now() {
		a.KeepRecordings(k)
	}
}

// CountCalls has the apps' calls of web services counted by m, also those of
// apps that a Change brings. It must be called before the first Invoke.
func (s *Set) CountCalls(m *fetch.Metrics) {
	s.calls = m
	for _, a := range s.now() {
		a.countCalls(m)
	}
}

// All returns every app, in the configuration's order.
func (s *Set) All() []*App { return slices.Clone(s.now()) }

func (s *Set) now() []*App {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.apps
}

// ForUser returns the apps that serve uid, in the configuration's order.
func (s *Set) ForUser(uid string) []*App {
	var as []*App
	for _, a := range s.now() {
		if a.Serves(uid) {
			as = append(as, a)
		}
	}
	return as
}

// Close closes every app: it waits for running invocations until ctx ends,
// then ends them. It returns every error. Afterwards Invoke returns an error.
func (s *Set) Close(ctx context.Context) error { return closeAll(ctx, s.now()) }

func closeAll(ctx context.Context, as []*App) error {
	var errs []error
	for _, a := range as {
		errs = append(errs, a.Close(ctx))
	}
	return errors.Join(errs...)
}
