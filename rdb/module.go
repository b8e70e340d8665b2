package rdb

// Every piece of a module's value is marked with its kind, which is what makes
// the values of unknown modules walkable.
const (
	moduleEnd = iota
	moduleSigned
	moduleUnsigned
	moduleFloat
	moduleDouble
	moduleString
)

// maxModules bounds the distinct modules that a Summary remembers.
const maxModules = 1024

// skipModule consumes the value of a module's type.
func (s *Scanner) skipModule() error {
	id, err := s.readLength()
	if err != nil {
		return err
	}
	if err := s.seeModule(id); err != nil {
		return err
	}
	return s.skipModuleValue()
}

// skipModuleAux consumes what a module keeps beside the keys.
func (s *Scanner) skipModuleAux() error {
	id, err := s.readLength()
	if err != nil {
		return err
	}
	if err := s.seeModule(id); err != nil {
		return err
	}
	kind, err := s.readLength()
	if err != nil {
		return err
	}
	if kind != moduleUnsigned {
		return s.corrupt("a module's data that starts with kind %d", kind)
	}
	if _, err := s.readLength(); err != nil { // before or after the keys
		return err
	}
	return s.skipModuleValue()
}

func (s *Scanner) skipModuleValue() error {
	for {
		kind, err := s.readLength()
		if err != nil {
			return err
		}
		switch kind {
		case moduleEnd:
			return nil
		case moduleSigned, moduleUnsigned:
			_, err = s.readLength()
		case moduleFloat:
			err = s.skip(4)
		case moduleDouble:
			err = s.skip(8)
		case moduleString:
			err = s.skipStrings(1, 0)
		default:
			err = s.corrupt("a module's value with a piece of kind %d", kind)
		}
		if err != nil {
			return err
		}
	}
}

// seeModule remembers the module behind an ID, whose low ten bits are a version.
func (s *Scanner) seeModule(id uint64) error {
	if id == s.module && len(s.modules) > 0 {
		return nil
	}
	if s.feed != nil && !s.feed.to.modules {
		return s.unsupportedAt(s.offset(), "data of the module %s", moduleName(id))
	}
	s.module = id
	if s.modules == nil {
		s.modules = make(map[string]struct{})
	}
	s.modules[moduleName(id)] = struct{}{}
	if len(s.modules) > maxModules {
		return s.corrupt("more than %d modules", maxModules)
	}
	return nil
}

// moduleName unpacks the nine letters of six bits each above the version.
func moduleName(id uint64) string {
	const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	var name [9]byte
	id >>= 10
	for i := len(name) - 1; i >= 0; i-- {
		name[i] = letters[id&63]
		id >>= 6
	}
	return string(name[:])
}
