package store

import (
	"bytes"
	"encoding/json"
)

// encode returns v as JSON without the escapes that make JSON fit to stand in
// a page: what apps emitted is kept as it was.
func encode(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}
