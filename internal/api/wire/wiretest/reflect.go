package wiretest

import (
	"fmt"
	"reflect"
	"strings"
	"time"
)

var timeType = reflect.TypeFor[time.Time]()

// bookkeeping of the SDK that never travels.
func ignored(f reflect.StructField) bool { return !f.IsExported() || f.Name == "ResultMetadata" }

// fill sets every field to a value of its own, lists to two elements, booleans to true: false may be left out.
func fill(v reflect.Value, n *int) {
	*n++
	switch {
	case v.Type() == timeType:
		v.Set(reflect.ValueOf(time.UnixMilli(1_700_000_000_000 + int64(*n)*1001).UTC()))
		return
	case v.Kind() == reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(v.Elem(), n)
		return
	}
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			if !ignored(v.Type().Field(i)) {
				fill(v.Field(i), n)
			}
		}
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 2, 2))
		fill(v.Index(0), n)
		fill(v.Index(1), n)
	case reflect.String:
		v.SetString(fmt.Sprintf("<v&%d> é\"'", *n))
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int32:
		v.SetInt(int64(*n))
	case reflect.Float64:
		v.SetFloat(float64(*n) + 0.25)
	default:
		panic(fmt.Sprintf("no value for a %s", v.Type()))
	}
}

// diff compares a struct of the SDK with one of ours, field by field, and says where they differ.
func diff(path string, theirs, ours reflect.Value) []string {
	if theirs.Kind() == reflect.Pointer && theirs.IsNil() || ours.Kind() == reflect.Pointer && ours.IsNil() {
		return []string{fmt.Sprintf("%s: one side is absent (SDK %v, ours %v)", path, theirs, ours)}
	}
	theirs, ours = reflect.Indirect(theirs), reflect.Indirect(ours)
	if theirs.Type() == timeType && ours.Type() == timeType {
		if !theirs.Interface().(time.Time).Equal(ours.Interface().(time.Time)) {
			return []string{fmt.Sprintf("%s: SDK %v, ours %v", path, theirs, ours)}
		}
		return nil
	}
	if theirs.Kind() != ours.Kind() {
		return []string{fmt.Sprintf("%s: SDK %s, ours %s", path, theirs.Type(), ours.Type())}
	}
	var all []string
	switch ours.Kind() {
	case reflect.Struct:
		return diffFields(path, theirs, ours)
	case reflect.Slice:
		if theirs.Len() != ours.Len() {
			return []string{fmt.Sprintf("%s: SDK %d elements, ours %d", path, theirs.Len(), ours.Len())}
		}
		for i := range ours.Len() {
			all = append(all, diff(fmt.Sprintf("%s[%d]", path, i), theirs.Index(i), ours.Index(i))...)
		}
	case reflect.String:
		if theirs.String() != ours.String() {
			all = append(all, fmt.Sprintf("%s: SDK %q, ours %q", path, theirs.String(), ours.String()))
		}
	default:
		if !reflect.DeepEqual(theirs.Interface(), ours.Interface()) {
			all = append(all, fmt.Sprintf("%s: SDK %v, ours %v", path, theirs, ours))
		}
	}
	return all
}

func diffFields(path string, theirs, ours reflect.Value) []string {
	var all []string
	matched := map[string]bool{}
	for i := range theirs.NumField() {
		f := theirs.Type().Field(i)
		if ignored(f) {
			continue
		}
		match, ok := ours.Type().FieldByNameFunc(func(name string) bool { return strings.EqualFold(name, f.Name) })
		if !ok {
			all = append(all, fmt.Sprintf("%s.%s: only the SDK has it", path, f.Name))
			continue
		}
		matched[match.Name] = true
		all = append(all, diff(path+"."+f.Name, theirs.Field(i), ours.FieldByIndex(match.Index))...)
	}
	for i := range ours.NumField() {
		if name := ours.Type().Field(i).Name; !matched[name] {
			all = append(all, fmt.Sprintf("%s.%s: only we have it", path, name))
		}
	}
	return all
}
