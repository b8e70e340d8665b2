package cli

import (
	"errors"
	"fmt"
	"os"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/keyframe/keyframe/internal/app"
	"github.com/keyframe/keyframe/internal/config"
	"github.com/keyframe/keyframe/internal/kms"
	"github.com/keyframe/keyframe/internal/resource"
)

func (s *session) key() *cobra.Command {
	cmd := &cobra.Command{Use: "key", Short: "Manage the keys of the local ring, which wrap snapshots' data keys"}
	var alias, description string
	create := s.ringCommand("create", "Make a key", cobra.NoArgs, func(ring *kms.Local, scope resource.Scope, _ []string) ([]kms.Key, error) {
		k, err := ring.Create(scope, alias, description)
		return []kms.Key{k}, err
	})
	create.Flags().StringVar(&alias, "alias", "", "alias by which requests can name it, such as alias/mine")
	create.Flags().StringVar(&description, "description", "", "what it is for")
	cmd.AddCommand(create,
		s.ringCommand("ls", "List keys", cobra.NoArgs, func(ring *kms.Local, scope resource.Scope, _ []string) ([]kms.Key, error) {
			return ring.List(scope)
		}),
		s.ringCommand("disable KEY", "Refuse a key: what it wraps cannot be read until it is enabled", cobra.ExactArgs(1),
			func(ring *kms.Local, scope resource.Scope, args []string) ([]kms.Key, error) {
				return one(ring.Disable(scope, args[0]))
			}),
		s.ringCommand("enable KEY", "Allow a key again", cobra.ExactArgs(1), func(ring *kms.Local, scope resource.Scope, args []string) ([]kms.Key, error) {
			return one(ring.Enable(scope, args[0]))
		}),
		s.ringCommand("rotate KEY", "Give a key a new version: it wraps from now on, older ones still unwrap", cobra.ExactArgs(1),
			func(ring *kms.Local, scope resource.Scope, args []string) ([]kms.Key, error) {
				return one(ring.Rotate(scope, args[0]))
			}))
	return cmd
}

func one(k kms.Key, err error) ([]kms.Key, error) { return []kms.Key{k}, err }

// listedKey is a line of key ls.
type listedKey struct {
	ID, ARN, Account, Region string
	Aliases                  []string
	Enabled                  bool
	Versions                 int
	Description              string `json:",omitempty"`
	CreatedAt                time.Time
}

var regionName = regexp.MustCompile(`^[a-z0-9]+(-[a-z0-9]+)*$`)

// ringCommand is a command on the local key ring. KEY is an id, an ARN or an alias.
func (s *session) ringCommand(use, short string, args cobra.PositionalArgs, act func(*kms.Local, resource.Scope, []string) ([]kms.Key, error)) *cobra.Command {
	cmd := &cobra.Command{Use: use, Short: short, Args: args}
	settings := s.settings(cmd, "data", "account", "kms.provider")
	region := cmd.Flags().String("region", "us-east-1", "region of the key")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		c, err := settings()
		if err != nil {
			return err
		}
		if !regionName.MatchString(*region) {
			return usageError{fmt.Errorf("--region %q is not a region such as us-east-1", *region)}
		}
		if cmd.Name() != "create" {
			if _, err := os.Stat(c.Data); err != nil {
				return err // only a first key makes a directory
			}
		}
		keys, err := onRing(c, *region, args, act)
		if err != nil {
			return err
		}
		list := make([]listedKey, len(keys))
		for i, k := range keys {
			list[i] = listedKey{k.ID, k.ARN(), k.Account, k.Region, k.Aliases, k.Enabled, k.Versions, k.Description, utc(k.CreatedAt)}
		}
		return s.print(list, func(t *table) {
			t.row("ARN", "ALIASES", "STATE", "VERSIONS", "CREATED")
			for _, l := range list {
				state := "enabled"
				if !l.Enabled {
					state = "disabled"
				}
				t.row(l.ARN, orDash(strings.Join(l.Aliases, " ")), state, strconv.Itoa(l.Versions), moment(l.CreatedAt))
			}
		})
	}
	return cmd
}

func onRing(c config.Config, region string, args []string, act func(*kms.Local, resource.Scope, []string) ([]kms.Key, error)) ([]kms.Key, error) {
	if c.KMS.Provider != "local" {
		return nil, errors.New("the keys of this server are held by " + c.KMS.Provider + ": manage them there")
	}
	if err := c.MakeDataDir(); err != nil {
		return nil, err
	}
	ring, err := app.OpenRing(c)
	if err != nil {
		return nil, err
	}
	return act(ring, resource.Scope{Account: c.Account, Region: region}, args)
}
