package meter

import "strings"

// namesFunctions is the name section's subsection of functions' names.
const namesFunctions = 1

// nameSection returns the contents of the new module's name section: the
// functions' names, which make stack traces readable, with the entries of the
// engine's functions. The original's are left out if they are broken: names
// are no reason to refuse a module.
func (p *parser) nameSection(newNames []byte) []byte {
	kept, entries := p.functionNames()
	if kept += uint32(len(p.newFunctions)); kept == 0 {
		return nil
	}
	entries = append(append(appendU32(nil, kept), entries...), newNames...)
	return appendSection(nil, namesFunctions, entries)
}

// functionNames returns the original's functions' names as entries of the new
// module, and how many there are.
func (p *parser) functionNames() (kept uint32, entries []byte) {
	if p.names == nil {
		return 0, nil
	}
	defer func() {
		switch r := recover().(type) {
		case nil:
		case *Error:
			kept, entries = 0, nil
		default:
			panic(r)
		}
	}()
	r := *p.names
	seen := map[byte]bool{}
	for r.remaining() > 0 {
		id := r.byte("name subsection")
		s := r.sub(r.u32("name subsection's size"), "name subsection")
		if seen[id] {
			return 0, nil
		}
		seen[id] = true
		if id != namesFunctions {
			continue
		}
		next := uint32(0) // indices rise
		for range s.count(maxFunctions+maxImports, "function names") {
			at := s.at
			i := p.function(&s, "named function")
			if i < next {
				fail(at, ErrMalformed, "function names out of order")
			}
			next = i + 1
			name := s.name(maxNameBytes, "function's name")
			if len(name) > maxKeptNameBytes || strings.HasPrefix(name, Reserved) {
				continue
			}
			entries = appendName(appendU32(entries, p.shifted(i)), name)
			kept++
		}
		s.done("function names")
	}
	return kept, entries
}
