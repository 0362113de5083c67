package apps

import (
	"context"
	"errors"
	"slices"
)

// Set is the installed apps, in the configuration's order. It owns their
// modules; Close closes them.
type Set struct{ apps []*App }

// All returns every app, in the configuration's order.
func (s *Set) All() []*App { return slices.Clone(s.apps) }

// ForUser returns the apps that serve uid, in the configuration's order.
func (s *Set) ForUser(uid string) []*App {
	var as []*App
	for _, a := range s.apps {
		if a.Serves(uid) {
			as = append(as, a)
		}
	}
	return as
}

// Close closes every app: it waits for running invocations until ctx ends,
// then ends them. It returns every error. Afterwards Invoke returns an error.
func (s *Set) Close(ctx context.Context) error {
	var errs []error
	for _, a := range s.apps {
		errs = append(errs, a.Close(ctx))
	}
	return errors.Join(errs...)
}
