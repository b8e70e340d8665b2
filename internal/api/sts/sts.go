// Package sts is the face of the Security Token Service, as much of it as tells a client who it is.
package sts

import (
	"context"

	"github.com/keyframe/keyframe/internal/api/gateway"
	"github.com/keyframe/keyframe/internal/api/wire"
	"github.com/keyframe/keyframe/internal/auth/policy"
)

var api = &wire.API{
	Name: "sts", Title: "AWS Security Token Service", Version: "2011-06-15", Protocol: wire.Query,
	Namespace: "https://sts.amazonaws.com/doc/2011-06-15/",
}

type getCallerIdentityInput struct{}

type getCallerIdentityOutput struct {
	UserID  *string `wire:"UserId"`
	Account *string `wire:"Account"`
	ARN     *string `wire:"Arn"`
}

var getCallerIdentity = wire.NewOp[getCallerIdentityInput, getCallerIdentityOutput](api, "GetCallerIdentity", "GetCallerIdentityResult")

// New makes the face. It serves GetCallerIdentity only: Keyframe issues no temporary credentials.
func New() *gateway.API {
	f := gateway.NewAPI(wire.NewService(api, []*wire.Operation{getCallerIdentity.Operation}, nil), gateway.APIOptions{
		Fault: func(*wire.Operation, error) *wire.FaultError { return nil },
		Hint:  " Keyframe issues no temporary credentials; its STS serves GetCallerIdentity only.",
	})
	gateway.Route(f, getCallerIdentity,
		func(*gateway.Call, *getCallerIdentityInput) []policy.Need {
			return []policy.Need{{Action: "sts:GetCallerIdentity", Resource: "*"}}
		},
		func(_ context.Context, c *gateway.Call, _ *getCallerIdentityInput) (*getCallerIdentityOutput, error) {
			p := c.Principal
			return &getCallerIdentityOutput{UserID: &p.UserID, Account: &p.Account, ARN: &p.ARN}, nil
		})
	return f
}
