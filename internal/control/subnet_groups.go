package control

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strings"

	"github.com/keyframe/keyframe/internal/metastore"
	"github.com/keyframe/keyframe/internal/resource"
)

// mostSubnets is how many subnets a group may have.
const mostSubnets = 20

// defaultSubnetGroup exists without a record: it holds a subnet in each of the region's first zones.
const defaultSubnetGroup = "default"

// VPC is the identifier of the network that an account's subnets in a region lie in. Networks are kept and shown: nodes run where the
// server does.
func VPC(scope resource.Scope) string { return identifierOf("vpc", scope.Account, scope.Region) }

// SubnetZone is the availability zone that a subnet is shown in; it is always the same one.
func SubnetZone(scope resource.Scope, subnet string) string {
	for i := range 3 {
		if subnet == defaultSubnet(scope, i) {
			return zone(scope, i)
		}
	}
	sum := sha256.Sum256([]byte(subnet))
	return zone(scope, int(sum[0]))
}

func defaultSubnet(scope resource.Scope, i int) string {
	return identifierOf("subnet", scope.Account, scope.Region, zone(scope, i))
}

// identifierOf makes an identifier like those of EC2 that is always the same for the same parts.
func identifierOf(typ string, parts ...string) string {
	sum := sha256.Sum256([]byte(typ + " " + strings.Join(parts, " ")))
	return typ + "-" + hex.EncodeToString(sum[:])[:17]
}

// findSubnetGroup finds a subnet group by name, with or without a record.
func findSubnetGroup(tx *metastore.Tx, scope resource.Scope, service, name string) (*resource.SubnetGroup, error) {
	name = oldName(name)
	if name == defaultSubnetGroup {
		g := &resource.SubnetGroup{Scope: scope, Service: service, Name: name, Description: "Default " + wording(service, "CacheSubnetGroup", "SubnetGroup")}
		for i := range 3 {
			g.SubnetIDs = append(g.SubnetIDs, defaultSubnet(scope, i))
		}
		return g, nil
	}
	g, err := tx.SubnetGroup(scope, service, name)
	if is(err, resource.NotFound) {
		return nil, resource.Errorf(resource.NotFound, resource.TypeSubnetGroup, name, "%s %s not found.",
			wording(service, "CacheSubnetGroup", "SubnetGroup"), clip(name))
	}
	return g, err
}

// SubnetGroupChange asks for a subnet group, or for changes of one.
type SubnetGroupChange struct {
	Scope       resource.Scope
	Service     string
	Name        string
	Description *string
	SubnetIDs   []string // nil: unchanged
	Tags        []resource.Tag
}

// CreateSubnetGroup makes a subnet group.
func (c *Control) CreateSubnetGroup(ctx context.Context, in SubnetGroupChange) (*resource.SubnetGroup, error) {
	name, err := newName(wording(in.Service, "CacheSubnetGroupName", "SubnetGroupName"), in.Name, longestGroupName)
	if err != nil {
		return nil, err
	}
	g := &resource.SubnetGroup{Scope: in.Scope, Service: in.Service, Name: name, SubnetIDs: in.SubnetIDs, CreatedAt: c.now()}
	if in.Description != nil {
		g.Description = *in.Description
	}
	if err := checkSubnetGroup(g); err != nil {
		return nil, err
	}
	if err := c.checkTags(in.Tags); err != nil {
		return nil, err
	}
	err = c.db.Update(ctx, func(tx *metastore.Tx) error {
		all, err := tx.SubnetGroups(g.Scope, g.Service, "", 0)
		if err != nil {
			return err
		}
		if name == defaultSubnetGroup || slices.ContainsFunc(all, func(o *resource.SubnetGroup) bool { return o.Name == name }) {
			return resource.Errorf(resource.AlreadyExists, resource.TypeSubnetGroup, name, "%s %s already exists.",
				wording(g.Service, "Cache subnet group", "Subnet group"), name)
		}
		if len(all) >= mostGroups {
			return resource.Errorf(resource.QuotaExceeded, resource.TypeSubnetGroup, name,
				"You have already reached your quota of %d subnet groups in this region.", mostGroups)
		}
		if err := tx.InsertSubnetGroup(g); err != nil {
			return err
		}
		return tx.SetTags(g.ARN(), in.Tags)
	})
	return g, err
}

func checkSubnetGroup(g *resource.SubnetGroup) error {
	if err := checkDescription(g.Description); err != nil {
		return err
	}
	if len(g.SubnetIDs) == 0 {
		return invalid("SubnetIds", "The parameter SubnetIds must be provided and must not be blank.")
	}
	var bad []string
	for i, id := range g.SubnetIDs {
		if !strings.HasPrefix(id, "subnet-") || !identifier.MatchString(id) || len(id) > 64 || slices.Contains(g.SubnetIDs[:i], id) {
			bad = append(bad, clip(id))
		}
	}
	if len(bad) > 0 {
		return resource.Errorf(resource.InvalidValue, resource.TypeSubnet, "SubnetIds", "Some input subnets in :[%s] are invalid.",
			strings.Join(bad[:min(len(bad), mostSubnets)], ", "))
	}
	if len(g.SubnetIDs) > mostSubnets {
		return resource.Errorf(resource.QuotaExceeded, resource.TypeSubnet, g.Name, "A subnet group can have at most %d subnets; %d were given.",
			mostSubnets, len(g.SubnetIDs))
	}
	return nil
}

// DescribeSubnetGroups lists the subnet groups of a service by name, or the one that is named.
func (c *Control) DescribeSubnetGroups(ctx context.Context, scope resource.Scope, service, name string, page Page) (groups []*resource.SubnetGroup, next string, err error) {
	after, most, err := page.bounds(kinds(service)[0])
	if err != nil {
		return nil, "", err
	}
	err = c.db.View(ctx, func(tx *metastore.Tx) error {
		if name != "" {
			g, err := findSubnetGroup(tx, scope, service, name)
			groups = []*resource.SubnetGroup{g}
			return err
		}
		if groups, err = tx.SubnetGroups(scope, service, "", 0); err != nil {
			return err
		}
		g, err := findSubnetGroup(tx, scope, service, defaultSubnetGroup)
		groups = append(groups, g)
		return err
	})
	if err != nil || name != "" {
		return groups, "", err
	}
	slices.SortFunc(groups, func(a, b *resource.SubnetGroup) int { return cmp.Compare(a.Name, b.Name) })
	groups, next = cut(groups, after, most, func(g *resource.SubnetGroup) string { return g.Name })
	return groups, next, nil
}

// ModifySubnetGroup changes description and subnets of a subnet group.
func (c *Control) ModifySubnetGroup(ctx context.Context, in SubnetGroupChange) (g *resource.SubnetGroup, err error) {
	err = c.db.Update(ctx, func(tx *metastore.Tx) error {
		if g, err = ownSubnetGroup(tx, in.Scope, in.Service, in.Name); err != nil {
			return err
		}
		if in.Description != nil {
			g.Description = *in.Description
		}
		if in.SubnetIDs != nil {
			g.SubnetIDs = in.SubnetIDs
		}
		if err := checkSubnetGroup(g); err != nil {
			return err
		}
		return tx.UpdateSubnetGroup(g)
	})
	return g, err
}

// ownSubnetGroup finds a subnet group that may be changed.
func ownSubnetGroup(tx *metastore.Tx, scope resource.Scope, service, name string) (*resource.SubnetGroup, error) {
	g, err := findSubnetGroup(tx, scope, service, name)
	if err == nil && g.Name == defaultSubnetGroup {
		return nil, invalid(wording(service, "CacheSubnetGroupName", "SubnetGroupName"), "The default subnet group cannot be changed or deleted.")
	}
	return g, err
}

// DeleteSubnetGroup deletes a subnet group that no cache uses.
func (c *Control) DeleteSubnetGroup(ctx context.Context, scope resource.Scope, service, name string) (g *resource.SubnetGroup, err error) {
	err = c.db.Update(ctx, func(tx *metastore.Tx) error {
		if g, err = ownSubnetGroup(tx, scope, service, name); err != nil {
			return err
		}
		users, err := usersOf(tx, scope, service, func(l *resource.Layout) bool { return l.SubnetGroup == g.Name })
		if err != nil {
			return err
		}
		if len(users) > 0 {
			return resource.Errorf(resource.InvalidState, resource.TypeSubnetGroup, g.Name,
				"%s %s is currently in use by %s.", wording(service, "Cache subnet group", "Subnet group"), g.Name, users[0].Name)
		}
		if err := tx.DeleteSubnetGroup(scope, service, g.Name); err != nil {
			return err
		}
		return tx.DeleteTags(g.ARN())
	})
	return g, err
}
