package main

import (
	"bytes"
	"encoding/json"
	"fmt"
)

// model is a botocore service model. Every key that is not named here is refused: that keeps prose out of the facts.
type model struct {
	Version    string              `json:"version"`
	Metadata   metadata            `json:"metadata"`
	Operations ordered[operation]  `json:"operations"`
	Shapes     ordered[modelShape] `json:"shapes"`
}

type metadata struct {
	APIVersion          string   `json:"apiVersion"`
	EndpointPrefix      string   `json:"endpointPrefix"`
	JSONVersion         string   `json:"jsonVersion"`
	Protocol            string   `json:"protocol"`
	Protocols           []string `json:"protocols"`
	ServiceAbbreviation string   `json:"serviceAbbreviation"`
	ServiceFullName     string   `json:"serviceFullName"`
	ServiceID           string   `json:"serviceId"`
	SignatureVersion    string   `json:"signatureVersion"`
	SigningName         string   `json:"signingName"`
	TargetPrefix        string   `json:"targetPrefix"`
	UID                 string   `json:"uid"`
	XMLNamespace        string   `json:"xmlNamespace"`
	Auth                []string `json:"auth"`
}

type operation struct {
	Name string `json:"name"`
	HTTP struct {
		Method     string `json:"method"`
		RequestURI string `json:"requestUri"`
	} `json:"http"`
	Input  *shapeRef  `json:"input"`
	Output *shapeRef  `json:"output"`
	Errors []shapeRef `json:"errors"`
}

type shapeRef struct {
	Shape         string `json:"shape"`
	LocationName  string `json:"locationName"`
	ResultWrapper string `json:"resultWrapper"`
	Deprecated    bool   `json:"deprecated"`
}

type modelShape struct {
	Type         string           `json:"type"`
	Members      ordered[*member] `json:"members"`
	Member       *shapeRef        `json:"member"`
	Required     []string         `json:"required"`
	Enum         []string         `json:"enum"`
	Min          *int64           `json:"min"`
	Max          *int64           `json:"max"`
	Pattern      string           `json:"pattern"`
	LocationName string           `json:"locationName"`
	Exception    bool             `json:"exception"`
	Synthetic    bool             `json:"synthetic"`
	Wrapper      bool             `json:"wrapper"`
	Error        *struct {
		Code   string `json:"code"`
		Status int    `json:"httpStatusCode"`
		Sender bool   `json:"senderFault"`
	} `json:"error"`
}

// member of a structure: the model's reference, and what the overlay says about it.
type member struct {
	Shape      string `json:"shape"`
	Deprecated bool   `json:"deprecated"`

	required, emptyAbsent, secret bool
	also                          string
	limits                        *limits
}

type limits struct {
	Min     *int64 `json:"min"`
	Max     *int64 `json:"max"`
	Pattern string `json:"pattern"`
}

// ordered is a JSON object that remembers the order of its keys: fields stand in Go, are checked and are written as in the model.
type ordered[T any] struct {
	names []string
	by    map[string]T
}

func (o *ordered[T]) set(name string, v T) {
	if o.by == nil {
		o.by = map[string]T{}
	}
	if _, ok := o.by[name]; !ok {
		o.names = append(o.names, name)
	}
	o.by[name] = v
}

func (o *ordered[T]) UnmarshalJSON(data []byte) error {
	dec := json.NewDecoder(bytes.NewReader(data))
	if t, err := dec.Token(); err != nil || t != json.Delim('{') {
		return fmt.Errorf("not an object: %v", err)
	}
	for dec.More() {
		t, err := dec.Token()
		if err != nil {
			return err
		}
		var raw json.RawMessage
		if err := dec.Decode(&raw); err != nil {
			return err
		}
		var v T
		name := t.(string)
		if err := strict(raw, &v); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		if _, ok := o.by[name]; ok {
			return fmt.Errorf("%s stands twice", name)
		}
		o.set(name, v)
	}
	return nil
}

func strict(data []byte, v any) error {
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	return dec.Decode(v)
}
