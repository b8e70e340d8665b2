package sigv4

import (
	"encoding/hex"
	"net/http"
	"slices"
	"strings"
	"time"
)

// unsignedHeaders are changed on the way by clients, proxies or net/http itself.
var unsignedHeaders = []string{"authorization", "accept-encoding", "connection", "content-length", "expect", "te", "trailer",
	"transfer-encoding", "user-agent", "x-amzn-trace-id"}

// Sign adds X-Amz-Date, the session token if there is one, for S3 X-Amz-Content-Sha256, and the Authorization header to r.
// payloadHash is PayloadHash of the body, or UnsignedPayload for S3.
func Sign(r *http.Request, c Credentials, region, service, payloadHash string, at time.Time) error {
	at = at.UTC()
	scope := Scope{at.Format(dateLayout), region, service}
	r.Header.Set("X-Amz-Date", at.Format(timeLayout))
	if !c.Session.Empty() {
		r.Header.Set("X-Amz-Security-Token", c.Session.Reveal())
	}
	if service == "s3" {
		r.Header.Set("X-Amz-Content-Sha256", payloadHash)
	}
	signed := []string{"host"}
	for name := range r.Header {
		if l := strings.ToLower(name); !slices.Contains(unsignedHeaders, l) && l != "host" {
			signed = append(signed, l)
		}
	}
	slices.Sort(signed)
	canonical, err := canonicalRequest(r, service, signed, payloadHash)
	if err != nil {
		return err
	}
	signature := hexMAC(signingKey(c.Secret, scope), stringToSign(at.Format(timeLayout), scope, canonical))
	r.Header.Set("Authorization", algorithm+" Credential="+c.AccessKeyID+"/"+scope.String()+
		", SignedHeaders="+strings.Join(signed, ";")+", Signature="+signature)
	return nil
}

func hexMAC(key []byte, data string) string { return hex.EncodeToString(mac(key, data)) }
