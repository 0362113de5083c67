package store

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
)

// A cursor names the last conversation of a page: base64url, unpadded, of a
// version byte, four bytes of the uid's SHA-256 and the id. It stays good
// whatever is completed meanwhile. The digest keeps a cursor of one user's
// list from being taken for another's by mistake; it guards nothing.
const (
	cursorVersion  = 1
	cursorUIDBytes = 4
)

func encodeCursor(uid, last string) string {
	sum := sha256.Sum256([]byte(uid))
	b := append([]byte{cursorVersion}, sum[:cursorUIDBytes]...)
	return base64.RawURLEncoding.EncodeToString(append(b, last...))
}

// decodeCursor returns the id in a cursor of a user's list. Whatever
// encodeCursor did not write for that user is ErrBadCursor.
func decodeCursor(uid, cursor string) (last string, err error) {
	const most = 1 + cursorUIDBytes + maxIDBytes
	if len(cursor) > base64.RawURLEncoding.EncodedLen(most) {
		return "", fmt.Errorf("%w: %d characters are too many", ErrBadCursor, len(cursor))
	}
	b, err := base64.RawURLEncoding.Strict().DecodeString(cursor)
	if err != nil {
		return "", fmt.Errorf("%w: not base64url", ErrBadCursor)
	}
	if len(b) <= 1+cursorUIDBytes || b[0] != cursorVersion {
		return "", fmt.Errorf("%w: not one of this host's", ErrBadCursor)
	}
	sum := sha256.Sum256([]byte(uid))
	if !bytes.Equal(b[1:1+cursorUIDBytes], sum[:cursorUIDBytes]) {
		return "", fmt.Errorf("%w: it belongs to another user's list", ErrBadCursor)
	}
	last = string(b[1+cursorUIDBytes:])
	// DecodeString skips line breaks; what was written has none.
	if !validID(last) || encodeCursor(uid, last) != cursor {
		return "", fmt.Errorf("%w: not one of this host's", ErrBadCursor)
	}
	return last, nil
}
