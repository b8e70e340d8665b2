package control

import (
	"regexp"
	"slices"
	"strings"

	"github.com/keyframe/keyframe/internal/resource"
)

// check refuses what can be seen to be wrong without looking anything up, and puts names into the form in which they are stored.
func (in *CreateDeployment) check() (err error) {
	param, longest := nameParam(in.Kind)
	if in.Name, err = newName(param, in.Name, longest); err != nil {
		return err
	}
	in.Engine = strings.ToLower(in.Engine)
	switch resource.Engine(in.Engine) {
	case "", resource.Valkey, resource.Redis:
	case resource.Memcached:
		if in.Kind != resource.CacheCluster {
			return invalid("Engine", "%s is not an engine of this kind of cache; valkey and redis are.", in.Engine)
		}
	default:
		return invalid("Engine", "Invalid cache engine: %s", clip(in.Engine))
	}
	if err := checkDescription(in.Description); err != nil {
		return err
	}
	if err := checkKeyRef(in.KMSKeyID); err != nil {
		return err
	}
	if err := checkNetwork(in.SecurityGroups, nil, in.NetworkType); err != nil {
		return err
	}
	if in.SnapshotRetention != nil {
		if err := checkSchedule(*in.SnapshotRetention, ""); err != nil {
			return err
		}
	}
	if in.Port != nil && (*in.Port < lowestPort || *in.Port > 65535) {
		return invalid("Port", "Port must be between %d and 65535; %d was given.", lowestPort, *in.Port)
	}
	if err := checkTopic(named(in.Kind, "NotificationTopicArn", "SnsTopicArn"), in.Topic); err != nil {
		return err
	}
	if err := checkZones(in.Scope, in.Zones...); err != nil {
		return err
	}
	if err := in.checkCounts(); err != nil {
		return err
	}
	if in.KMSKeyID != "" && in.AtRestEncryption != nil && !*in.AtRestEncryption {
		return conflicting("KmsKeyId needs AtRestEncryptionEnabled.")
	}
	if in.AuthToken != "" && len(in.UserGroups) > 0 {
		return conflicting("AuthToken and UserGroupIds cannot be given together.")
	}
	if in.AuthToken != "" && (in.TransitEncryption == nil || !*in.TransitEncryption) && in.JoinGroup == "" {
		return conflicting("AuthToken can only be given when TransitEncryptionEnabled is true.")
	}
	return nil
}

// checkCounts checks shards, replicas and nodes as far as the request alone tells.
func (in *CreateDeployment) checkCounts() error {
	if in.NumShards != nil && (*in.NumShards < 1 || *in.NumShards > mostShards) {
		return tooManyShards(in.Kind, *in.NumShards)
	}
	if len(in.Shards) > mostShards {
		return tooManyShards(in.Kind, len(in.Shards))
	}
	if in.NumShards != nil && len(in.Shards) > 0 && *in.NumShards != len(in.Shards) {
		return conflicting("NumNodeGroups is %d and NodeGroupConfiguration has %d node groups.", *in.NumShards, len(in.Shards))
	}
	if err := checkReplicas(in.Kind, in.Replicas); err != nil {
		return err
	}
	names := map[string]bool{}
	for i := range in.Shards {
		s := &in.Shards[i]
		if err := checkReplicas(in.Kind, s.Replicas); err != nil {
			return err
		}
		if err := checkZones(in.Scope, append(slices.Clone(s.ReplicaZones), s.PrimaryZone)...); err != nil {
			return err
		}
		if s.Replicas != nil && len(s.ReplicaZones) > 0 && len(s.ReplicaZones) != *s.Replicas {
			return conflicting("ReplicaCount is %d and %d ReplicaAvailabilityZones are given.", *s.Replicas, len(s.ReplicaZones))
		}
		if s.Name == "" {
			continue
		}
		if s.Name = shardName(s.Name); names[s.Name] {
			return invalid("NodeGroupConfiguration", "NodeGroupId %s is given more than once.", s.Name)
		}
		names[s.Name] = true
	}
	if len(names) > 0 && len(names) != len(in.Shards) {
		return conflicting("NodeGroupId must be given for all node groups or for none.")
	}
	in.Shards = slices.Clone(in.Shards)
	slices.SortStableFunc(in.Shards, func(a, b ShardWanted) int { return strings.Compare(a.Name, b.Name) })
	return nil
}

func tooManyShards(kind resource.Kind, n int) error {
	param := named(kind, "NumNodeGroups", "NumShards")
	if n > mostShards {
		return resource.Errorf(resource.QuotaExceeded, resource.TypeShard, param, "%s must be at most %d; %d was given.", param, mostShards, n)
	}
	return invalid(param, "%s must be between 1 and %d; %d was given.", param, mostShards, n)
}

func checkReplicas(kind resource.Kind, n *int) error {
	if n == nil || *n >= 0 && *n <= mostReplicas {
		return nil
	}
	param := named(kind, "ReplicasPerNodeGroup", "NumReplicasPerShard")
	return invalid(param, "A shard has 0 to %d replicas; %d were asked for.", mostReplicas, *n)
}

// shardName is the name of a shard as it is stored: four digits.
func shardName(s string) string {
	if len(s) < 4 {
		return strings.Repeat("0", 4-len(s)) + s
	}
	return s
}

var topicARN = regexp.MustCompile(`^arn:aws[a-z-]*:sns:[a-z0-9-]+:[0-9]{12}:[A-Za-z0-9_.-]+$`)

func checkTopic(param, arn string) error {
	if arn != "" && (len(arn) > longestTopic || !topicARN.MatchString(arn)) {
		return invalid(param, "%q is not the ARN of an SNS topic.", clip(arn))
	}
	return nil
}

var zoneLetters = "abcdef"

// checkZones refuses what is no zone of the region. Zones are kept and shown: nodes run where the server does.
func checkZones(scope resource.Scope, zones ...string) error {
	for _, z := range zones {
		letter, ok := strings.CutPrefix(z, scope.Region)
		if z != "" && (!ok || len(letter) != 1 || !strings.Contains(zoneLetters, letter)) {
			return invalid("PreferredAvailabilityZone", "%q is not an availability zone of %s.", clip(z), scope.Region)
		}
	}
	return nil
}

// zone is the i-th of a region's zones, in turn.
func zone(scope resource.Scope, i int) string { return scope.Region + zoneLetters[i%3:i%3+1] }
