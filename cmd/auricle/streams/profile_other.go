//go:build !unix

package streams

// ProfileOnSignal does nothing where there are no such signals.
func ProfileOnSignal(string) (stop func()) { return func() {} }
