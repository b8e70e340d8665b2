package rdb

import (
	"encoding/binary"
	"fmt"
	"iter"
	"math"
)

// ModuleID names the module and the form of a module's value.
type ModuleID uint64

// Name returns the nine letters of the module's type, such as "ReJSON-RL".
func (id ModuleID) Name() string { return moduleName(uint64(id)) }

// Version returns the version of the module's encoding, 0 to 1023.
func (id ModuleID) Version() int { return int(id & 1023) }

func (id ModuleID) String() string { return fmt.Sprintf("%s version %d", id.Name(), id.Version()) }

// ModuleItemKind says which field of a ModuleItem holds the item.
type ModuleItemKind byte

// The kinds of items that modules save.
const (
	ModuleSigned   ModuleItemKind = moduleSigned
	ModuleUnsigned ModuleItemKind = moduleUnsigned
	ModuleFloat    ModuleItemKind = moduleFloat
	ModuleDouble   ModuleItemKind = moduleDouble
	ModuleText     ModuleItemKind = moduleString
)

// ModuleItem is one item of a module's value. What the items mean only the module
// knows.
type ModuleItem struct {
	Kind  ModuleItemKind
	Int   uint64  // ModuleUnsigned, and ModuleSigned as int64(Int)
	Float float64 // ModuleFloat and ModuleDouble
	Text  []byte  // ModuleText; good until the next item
}

// ModuleID returns which module made the value, 0 if it is not a module's or was
// read already.
func (v *Value) ModuleID() ModuleID {
	if v.kind != KindModule || v.stage != valueFresh {
		return 0
	}
	id, _, _ := v.s.peekLength(0)
	return ModuleID(id)
}

// Items returns what a module saved, item by item. An error comes last.
func (v *Value) Items() iter.Seq2[ModuleItem, error] {
	return func(yield func(ModuleItem, error) bool) {
		err := v.walkItems(func(item ModuleItem) bool { return yield(item, nil) })
		if err != nil && err != errStopped {
			yield(ModuleItem{}, err)
		}
	}
}

func (v *Value) walkItems(yield func(ModuleItem) bool) error {
	if err := v.begin(KindModule); err != nil {
		return err
	}
	s := v.s
	id, err := s.readLength()
	if err == nil {
		err = s.seeModule(id)
	}
	if err != nil {
		return v.broke(err)
	}
	for {
		kind, err := s.readLength()
		if err != nil {
			return v.broke(err)
		}
		if kind == moduleEnd {
			v.stage = valueDone
			return nil
		}
		item := ModuleItem{Kind: ModuleItemKind(kind)}
		switch kind {
		case moduleSigned, moduleUnsigned:
			if item.Int, err = s.readLength(); err != nil {
				return v.broke(err)
			}
		case moduleFloat:
			if err := s.need(4); err != nil {
				return v.broke(err)
			}
			item.Float = float64(math.Float32frombits(binary.LittleEndian.Uint32(s.buf[s.pos:])))
			s.pos += 4
		case moduleDouble:
			if err := s.need(8); err != nil {
				return v.broke(err)
			}
			item.Float = math.Float64frombits(binary.LittleEndian.Uint64(s.buf[s.pos:]))
			s.pos += 8
		case moduleString:
			if item.Text, err = v.readString(&v.texts.first, false); err != nil {
				return err
			}
		default:
			return v.broke(s.corrupt("a module's value with a piece of kind %d", kind))
		}
		if !yield(item) {
			return errStopped
		}
	}
}
