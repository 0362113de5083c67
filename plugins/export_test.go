package plugins

import "context"

// NewCopying returns an engine that restores memory by copying all of it, as on
// systems that neither map images nor list written pages.
func NewCopying(ctx context.Context, o Options) (*Engine, error) {
	e, err := New(ctx, o)
	if err != nil || e.pages == nil {
		return e, err
	}
	err = e.pages.close()
	e.pages, e.copies = nil, true
	return e, err
}
