package host

import (
	"context"
	"errors"

	"github.com/auricle-dev/auricle/host/apps"
	"github.com/auricle-dev/auricle/host/store"
	"github.com/auricle-dev/auricle/sdk/space"
)

// values are the store as apps keep their values in it.
type values struct{ store *store.Store }

var _ apps.Storage = values{}

// Values returns what an app keeps for a user.
func (v values) Values(ctx context.Context, app, uid string) (space.Values, uint64, error) {
	kept, revision, err := v.store.Values(ctx, app, uid)
	return kept, uint64(revision), err
}

// PutValues keeps all of it anew.
func (v values) PutValues(ctx context.Context, app, uid string, kept space.Values, after uint64) (bool, error) {
	_, err := v.store.PutValues(ctx, app, uid, kept, store.Revision(after))
	switch {
	case errors.Is(err, store.ErrFenced):
		return false, nil
	case errors.Is(err, store.ErrTooLarge):
		return false, &space.QuotaError{Why: "the servers of the store take no messages that large: " + err.Error()}
	}
	return err == nil, err
}
