package plugins

import "io"

const (
	characterDevice = 2 // WASI's filetype of a terminal

	rightRead  = 1 << 1
	rightWrite = 1 << 6
	rightPoll  = 1 << 27
)

// fdstat describes stdin, stdout and stderr as terminals.
func fdstat(c *Call, p []uint64) (errno, error) {
	fd := uint32(p[0])
	if fd > 2 {
		return badf, nil
	}
	b, ok := c.view(p[1], 24)
	if !ok {
		return fault, nil
	}
	clear(b)
	b[0] = characterDevice
	rights := uint64(rightPoll | rightWrite)
	if fd == 0 {
		rights = rightPoll | rightRead
	}
	le.PutUint64(b[8:], rights)
	return success, nil
}

func filestat(c *Call, p []uint64) (errno, error) {
	if uint32(p[0]) > 2 {
		return badf, nil
	}
	b, ok := c.view(p[1], 64)
	if !ok {
		return fault, nil
	}
	clear(b)
	b[16] = characterDevice
	return success, nil
}

// fdRead answers that stdin is at its end.
func fdRead(c *Call, p []uint64) (errno, error) {
	if uint32(p[0]) != 0 {
		return badf, nil
	}
	n, ok := c.view(p[3], 4)
	if !ok {
		return fault, nil
	}
	le.PutUint32(n, 0)
	return success, nil
}

const (
	iovecBytes = 8
	iovecFuel  = 20       // each piece of a write, for handing it over
	writePiece = 64 << 10 // handed over between two looks at the fuel
	maxWritten = 1<<31 - 1
)

// fdWrite hands what is written to stdout or stderr to Invocation.Stderr,
// piece by piece, each paid for before.
func fdWrite(c *Call, p []uint64) (errno, error) {
	if fd := uint32(p[0]); fd != 1 && fd != 2 {
		return badf, nil
	}
	iovecs, ok1 := c.view(p[1], uint64(uint32(p[2]))*iovecBytes)
	written, ok2 := c.view(p[3], 4)
	if !ok1 || !ok2 {
		return fault, nil
	}
	total := 0
	for ; len(iovecs) > 0; iovecs = iovecs[iovecBytes:] {
		if err := c.Charge(iovecFuel); err != nil {
			return 0, err
		}
		b, ok := c.view(uint64(le.Uint32(iovecs)), uint64(le.Uint32(iovecs[4:])))
		if !ok {
			return fault, nil
		}
		if total+len(b) > maxWritten {
			break // a short write
		}
		total += len(b)
		if e, err := c.print(b); e != success || err != nil {
			return e, err
		}
	}
	le.PutUint32(written, uint32(total))
	return success, nil
}

// print hands b to Invocation.Stderr, and keeps the end of it for a RunError.
func (c *Call) print(b []byte) (errno, error) {
	for len(b) > 0 {
		n := min(len(b), writePiece)
		if err := c.Charge(uint64(n) * byteFuel); err != nil {
			return 0, err
		}
		c.r.wrote.add(b[:n])
		if w := c.r.inv.Stderr; w != nil && w != io.Discard {
			if _, err := w.Write(b[:n]); err != nil {
				return ioError, nil
			}
		}
		b = b[n:]
	}
	return success, nil
}
