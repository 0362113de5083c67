package plugins

import (
	"encoding/binary"
	"strings"
)

const wasiModule = "wasi_snapshot_preview1"

// errno is WASI's. Only those that are answered here are named.
type errno uint32

const (
	success    errno = 0
	badf       errno = 8  // no such descriptor
	fault      errno = 21 // a pointer outside of the memory
	inval      errno = 28
	ioError    errno = 29
	nosys      errno = 52
	notsock    errno = 57
	notsup     errno = 58
	spipe      errno = 70 // can't seek
	notcapable errno = 76
)

var le = binary.LittleEndian

// wasiFunc is one function of WASI. An error ends the invocation; an errno is
// for the guest to see.
type wasiFunc func(c *Call, p []uint64) (errno, error)

// view returns n bytes of the guest's memory, or false. Unlike Call.Read it
// charges nothing: what WASI moves is priced where it can be more than a few
// bytes.
func (c *Call) view(ptr uint64, n uint64) ([]byte, bool) {
	return c.r.inst.mem.view(uint32(ptr), n)
}

// wasi is preview 1, all of it, so that what ordinary toolchains make links. It
// answers and grants nothing: no arguments, no environment, no files, no
// sockets. It keeps no state, so there is nothing to restore.
func wasi() HostModule {
	m := HostModule{Name: wasiModule}
	for _, f := range wasiFunctions {
		m.Functions = append(m.Functions, HostFunction{
			Name:    f.name,
			Params:  letters(f.params),
			Results: []ValueType{I32},
			Func: func(c *Call, stack []uint64) error {
				e, err := f.call(c, stack)
				if len(stack) > 0 {
					stack[0] = uint64(e)
				}
				return err
			},
		})
	}
	m.Functions = append(m.Functions, HostFunction{
		Name:   "proc_exit",
		Params: []ValueType{I32},
		Func:   func(c *Call, stack []uint64) error { return c.r.exit(uint32(stack[0])) },
	})
	return m
}

// wasiFunctions are WASI's, except proc_exit, the only one without an errno.
// In params, i is an i32 and I an i64.
var wasiFunctions = []struct {
	name, params string
	call         wasiFunc
}{
	{"args_get", "ii", always(success)},
	{"args_sizes_get", "ii", noStrings},
	{"environ_get", "ii", always(success)},
	{"environ_sizes_get", "ii", noStrings},
	{"clock_res_get", "ii", clockRes},
	{"clock_time_get", "iIi", clockTime},
	{"fd_advise", "iIIi", stdio(spipe)},
	{"fd_allocate", "iII", stdio(spipe)},
	{"fd_close", "i", stdio(success)},
	{"fd_datasync", "i", stdio(notsup)},
	{"fd_fdstat_get", "ii", fdstat},
	{"fd_fdstat_set_flags", "ii", stdio(notsup)},
	{"fd_fdstat_set_rights", "iII", stdio(notsup)},
	{"fd_filestat_get", "ii", filestat},
	{"fd_filestat_set_size", "iI", stdio(notsup)},
	{"fd_filestat_set_times", "iIIi", stdio(notsup)},
	{"fd_pread", "iiiIi", stdio(spipe)},
	{"fd_prestat_dir_name", "iii", always(badf)},
	{"fd_prestat_get", "ii", always(badf)},
	{"fd_pwrite", "iiiIi", stdio(spipe)},
	{"fd_read", "iiii", fdRead},
	{"fd_readdir", "iiiIi", always(badf)},
	{"fd_renumber", "ii", stdio(notsup)},
	{"fd_seek", "iIii", stdio(spipe)},
	{"fd_sync", "i", stdio(notsup)},
	{"fd_tell", "ii", stdio(spipe)},
	{"fd_write", "iiii", fdWrite},
	{"path_create_directory", "iii", stdio(notcapable)},
	{"path_filestat_get", "iiiii", stdio(notcapable)},
	{"path_filestat_set_times", "iiiiIIi", stdio(notcapable)},
	{"path_link", "iiiiiii", stdio(notcapable)},
	{"path_open", "iiiiiIIii", stdio(notcapable)},
	{"path_readlink", "iiiiii", stdio(notcapable)},
	{"path_remove_directory", "iii", stdio(notcapable)},
	{"path_rename", "iiiiii", stdio(notcapable)},
	{"path_symlink", "iiiii", always(notcapable)},
	{"path_unlink_file", "iii", stdio(notcapable)},
	{"poll_oneoff", "iiii", pollOneoff},
	{"proc_raise", "i", always(nosys)},
	{"random_get", "ii", randomGet},
	{"sched_yield", "", schedYield},
	{"sock_accept", "iii", stdio(notsock)},
	{"sock_recv", "iiiiii", stdio(notsock)},
	{"sock_send", "iiiii", stdio(notsock)},
	{"sock_shutdown", "ii", stdio(notsock)},
}

func letters(s string) []ValueType {
	out := make([]ValueType, 0, len(s))
	for _, l := range strings.Split(s, "") {
		switch l {
		case "i":
			out = append(out, I32)
		case "I":
			out = append(out, I64)
		}
	}
	return out
}

// always answers the same.
func always(e errno) wasiFunc {
	return func(*Call, []uint64) (errno, error) { return e, nil }
}

// stdio answers e for stdin, stdout and stderr: those are all the descriptors
// there are.
func stdio(e errno) wasiFunc {
	return func(_ *Call, p []uint64) (errno, error) {
		if uint32(p[0]) > 2 {
			return badf, nil
		}
		return e, nil
	}
}

// noStrings answers that there are none, and no bytes of them.
func noStrings(c *Call, p []uint64) (errno, error) {
	count, ok1 := c.view(p[0], 4)
	size, ok2 := c.view(p[1], 4)
	if !ok1 || !ok2 {
		return fault, nil
	}
	le.PutUint32(count, 0)
	le.PutUint32(size, 0)
	return success, nil
}

// randomPiece is how many random bytes are made between two looks at the fuel.
const randomPiece = 4 << 10

func randomGet(c *Call, p []uint64) (errno, error) {
	b, ok := c.view(p[0], uint64(uint32(p[1])))
	if !ok {
		return fault, nil
	}
	for len(b) > 0 {
		n := min(len(b), randomPiece)
		if err := c.Charge(uint64(n) * byteFuel); err != nil {
			return 0, err
		}
		if err := c.r.fill(b[:n]); err != nil {
			return 0, err
		}
		b = b[n:]
	}
	return success, nil
}

func schedYield(c *Call, _ []uint64) (errno, error) { return success, c.r.sleep(0) }
