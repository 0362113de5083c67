package meter

// Subsections of the name section.
const (
	namesModule    = 0
	namesFunctions = 1
)

// nameSection returns the contents of the new module's name section: the
// module's name and the functions' names, which make stack traces readable.
// Nil when the original has none, or a broken one: names are no reason to
// refuse a module.
func (p *parser) nameSection() (out []byte) {
	if p.names == nil {
		return nil
	}
	defer func() {
		switch r := recover().(type) {
		case nil:
		case *Error:
			out = nil
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
			return nil
		}
		seen[id] = true
		var kept []byte
		switch id {
		case namesModule:
			if name := s.name(maxNameBytes, "module's name"); len(name) <= maxKeptNameBytes {
				kept = appendName(nil, name)
			}
			s.done("module's name")
		case namesFunctions:
			kept = p.functionNames(&s)
		}
		if kept != nil {
			out = appendSection(out, id, kept)
		}
	}
	return out
}

// functionNames returns a subsection with the function names of s.
func (p *parser) functionNames(s *reader) []byte {
	kept, entries := uint32(0), []byte(nil)
	next := uint32(0) // indices rise
	for range s.count(maxFunctions+maxImports, "function names") {
		at := s.at
		i := p.function(s, "named function")
		if i < next {
			fail(at, ErrMalformed, "function names out of order")
		}
		next = i + 1
		name := s.name(maxNameBytes, "function's name")
		if len(name) > maxKeptNameBytes {
			continue
		}
		entries = appendName(appendU32(entries, p.shifted(i)), name)
		kept++
	}
	s.done("function names")
	return append(appendU32(nil, kept), entries...)
}
