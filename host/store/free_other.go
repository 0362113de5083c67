//go:build !linux && !darwin

package store

// freeBytes does not know how much can still be written.
func freeBytes(string) (n int64, known bool, err error) { return 0, false, nil }
