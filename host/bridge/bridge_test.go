package bridge_test

import (
	"bytes"
	"errors"
	"testing"

	"github.com/auricle-dev/auricle/host/bridge"
)

// What is built in is a module, however large the buffer was before; a build
// without make says that it has none.
func TestModuleIsThereOrSaidNotToBe(t *testing.T) {
	var b bytes.Buffer
	switch err := bridge.Module(&b); {
	case errors.Is(err, bridge.ErrNotBuilt):
		if b.Len() > 0 {
			t.Errorf("%d bytes of a module that is not there", b.Len())
		}
	case err != nil:
		t.Fatal(err)
	case !bytes.HasPrefix(b.Bytes(), []byte("\x00asm\x01\x00\x00\x00")):
		t.Errorf("not a module: %q…", b.Bytes()[:min(8, b.Len())])
	}
}
