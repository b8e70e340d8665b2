package engine

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"

	"github.com/keyframe/keyframe/internal/resource"
)

// Installed is a server binary on this machine.
type Installed struct {
	Engine  resource.Engine
	Version Version
	Path    string // absolute
}

// Catalog is what can run on this machine.
type Catalog struct{ Installed []Installed }

var banner = regexp.MustCompile(`^(?:(Valkey|Redis) server v=|(memcached) )(\d+(?:\.\d+){0,2})`)

// ParseBanner reads the line that a server prints for --version.
func ParseBanner(line string) (resource.Engine, Version, error) {
	m := banner.FindStringSubmatch(line)
	if m == nil {
		return "", Version{}, fmt.Errorf("%.60q is not the version line of a known engine", line)
	}
	e := Memcached
	switch m[1] {
	case "Valkey":
		e = Valkey
	case "Redis":
		e = Redis
	}
	v, err := ParseVersion(m[3])
	return e, v, err
}

// Offer is an engine version as the API offers it, and the binary that would run it.
type Offer struct {
	Engine             resource.Engine
	Version            string // as AWS names it: "7.2", "8.0", "1.6.17"
	Major              string // for serverless: "8", "1.6"
	Family             string // cache parameter group family: "valkey8"
	Description        string // of the engine
	VersionDescription string
	Binary             Installed
}

// known are the versions that AWS offers and that an engine able to read and write their RDB version may stand in for.
// Older ones, whose RDB versions no maintained engine writes, are left out.
var known = []struct {
	engine                 resource.Engine
	version, major, family string
}{
	{Memcached, "1.6.6", "1.6", "memcached1.6"},
	{Memcached, "1.6.12", "1.6", "memcached1.6"},
	{Memcached, "1.6.17", "1.6", "memcached1.6"},
	{Memcached, "1.6.22", "1.6", "memcached1.6"},
	{Redis, "5.0.6", "5", "redis5.0"},
	{Redis, "6.0", "6", "redis6.x"},
	{Redis, "6.2", "6", "redis6.x"},
	{Redis, "7.0", "7", "redis7"},
	{Redis, "7.1", "7", "redis7"},
	{Valkey, "7.2", "7", "valkey7"},
	{Valkey, "8.0", "8", "valkey8"},
	{Valkey, "8.1", "8", "valkey8"},
	{Valkey, "9.0", "9", "valkey9"},
}

var descriptions = map[resource.Engine]string{Memcached: "memcached", Redis: "Redis", Valkey: "Valkey"}

// Offers lists what can run here, by engine and then version, oldest first. No engine: all of them.
func (c *Catalog) Offers(e resource.Engine) []Offer {
	var out []Offer
	for _, k := range known {
		if e != "" && k.engine != e {
			continue
		}
		v, _ := ParseVersion(k.version)
		bin, ok := c.standIn(k.engine, v)
		if !ok {
			continue
		}
		out = append(out, Offer{Engine: k.engine, Version: k.version, Major: k.major, Family: k.family,
			Description: descriptions[k.engine], VersionDescription: fmt.Sprintf("%s version %s", k.engine, k.version), Binary: bin})
	}
	return out
}

// OffersOf are Offers of a service, with the families that it has. MemoryDB began with Redis 6.2 and has no memcached.
func (c *Catalog) OffersOf(service string, e resource.Engine) (offers []Offer) {
	for _, o := range c.Offers(e) {
		o.Family = FamilyOf(service, o)
		v, _ := ParseVersion(o.Version)
		if _, ok := FindFamily(service, o.Family); !ok || service == memoryDB && v.Compare(Version{6, 2, 0}) < 0 {
			continue
		}
		offers = append(offers, o)
	}
	return offers
}

// standIn picks the binary of e that writes v's RDB version: the nearest one not older than v, else the newest older one.
func (c *Catalog) standIn(e resource.Engine, v Version) (Installed, bool) {
	want := RDBOf(e, v)
	var fit []Installed
	for _, b := range c.Installed {
		if b.Engine == e && RDBOf(e, b.Version) == want {
			fit = append(fit, b)
		}
	}
	if len(fit) == 0 {
		return Installed{}, false
	}
	slices.SortFunc(fit, func(a, b Installed) int {
		aOld, bOld := a.Version.Compare(v) < 0, b.Version.Compare(v) < 0
		switch {
		case aOld && bOld:
			return b.Version.Compare(a.Version)
		case aOld:
			return 1
		case bOld:
			return -1
		}
		return cmp.Or(a.Version.Compare(b.Version), cmp.Compare(a.Path, b.Path))
	})
	return fit[0], true
}

// Choice is the answer to what a request for an engine version gets.
type Choice struct {
	Offer
	FullVersion string // of the binary that runs, "8.0.1"
}

// Resolve finds what runs for the engine and version that a client asked for. The version may be a major ("8", "1.6"), a
// version AWS knows ("7.1", "7.1.0") or empty for the default. The error is a *resource.Error for the client.
func (c *Catalog) Resolve(e resource.Engine, version string) (Choice, error) {
	if _, ok := descriptions[e]; !ok {
		return Choice{}, resource.Errorf(resource.InvalidValue, resource.TypeParameter, "Engine", "Invalid cache engine: %s", e)
	}
	offers := c.Offers(e)
	if len(offers) == 0 {
		return Choice{}, c.absent(e)
	}
	if version == "" {
		return choose(offers[len(offers)-1]), nil
	}
	asked, err := ParseVersion(version)
	if err != nil {
		return Choice{}, resource.Errorf(resource.InvalidValue, resource.TypeParameter, "EngineVersion", "Invalid engine version: %s", version)
	}
	best := -1
	for i, o := range offers {
		v, _ := ParseVersion(o.Version)
		if covers(asked, v) {
			best = i // the newest that fits
		}
	}
	if best >= 0 {
		return choose(offers[best]), nil
	}
	for _, k := range known {
		if v, _ := ParseVersion(k.version); k.engine == e && covers(asked, v) {
			return Choice{}, resource.Errorf(resource.Unsupported, resource.TypeParameter, "EngineVersion",
				"%s %s cannot run here: no installed %s reads and writes its snapshots (installed: %s)", e, version, Program(e), c.list(e))
		}
	}
	return Choice{}, resource.Errorf(resource.InvalidValue, resource.TypeParameter, "EngineVersion",
		"Cannot find version %s for %s", version, e)
}

// covers tells whether a request for asked is met by the offered version: parts that both give must be equal, except that
// a patch release is met by its minor version ("7.1.0" by "7.1").
func covers(asked, offered Version) bool {
	same := func(a, b int) bool { return a < 0 || b < 0 || a == b }
	return asked.Major == offered.Major && same(asked.Minor, offered.Minor) && same(asked.Patch, offered.Patch)
}

func choose(o Offer) Choice { return Choice{o, o.Binary.Version.String()} }

func (c *Catalog) absent(e resource.Engine) error {
	if n := c.list(e); n != "none" {
		return resource.Errorf(resource.Unsupported, resource.TypeParameter, "Engine",
			"the installed %s (%s) runs no version that the API offers", Program(e), n)
	}
	return resource.Errorf(resource.Unsupported, resource.TypeParameter, "Engine",
		"no %s is installed on this machine: install the Debian package %s", Program(e), Package(e))
}

func (c *Catalog) list(e resource.Engine) string {
	out := ""
	for _, b := range c.Installed {
		if b.Engine == e {
			if out != "" {
				out += ", "
			}
			out += b.Version.String()
		}
	}
	return cmp.Or(out, "none")
}

// DefaultMajor is the major version that a serverless cache gets when none is asked for; empty when the engine cannot run.
func (c *Catalog) DefaultMajor(e resource.Engine) string {
	ch, err := c.Resolve(e, "")
	if err != nil {
		return ""
	}
	return ch.Major
}
