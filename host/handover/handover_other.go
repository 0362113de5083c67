//go:build !unix

package handover

import (
	"context"
	"errors"
	"fmt"
	"net"
)

// Offer is what this system does not have.
type Offer struct{}

// NewOffer returns errors.ErrUnsupported.
func NewOffer(string, net.Listener, net.Listener, func()) (*Offer, error) {
	return nil, fmt.Errorf("offering the listening socket: %w", errors.ErrUnsupported)
}

// Close does nothing.
func (o *Offer) Close() error { return nil }

// Take returns errors.ErrUnsupported.
func Take(context.Context, string) (*Taken, error) {
	return nil, fmt.Errorf("taking over from a running host: %w", errors.ErrUnsupported)
}
