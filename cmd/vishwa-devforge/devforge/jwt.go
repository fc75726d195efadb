// The tokens with which an App signs in: RS256 over three base64 parts, short-lived.

package devforge

import (
	"crypto"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// claims is what GitHub reads of an App's JWT. Times are seconds, whole or not.
type claims struct {
	Issuer  any     `json:"iss"`
	Issued  float64 `json:"iat"`
	Expires float64 `json:"exp"`
}

var errJWT = refuse(http.StatusUnauthorized, "A JSON web token could not be decoded")

// parseJWT takes a token apart without believing it.
func parseJWT(s string) (c claims, app int64, signature []byte, err error) {
	parts := strings.Split(s, ".")
	if len(parts) != 3 {
		return c, 0, nil, errJWT
	}
	var head struct {
		Algorithm string `json:"alg"`
	}
	for i, into := range []any{&head, &c} {
		raw, err := base64.RawURLEncoding.DecodeString(parts[i])
		if err != nil || json.Unmarshal(raw, into) != nil {
			return c, 0, nil, errJWT
		}
	}
	signature, err = base64.RawURLEncoding.DecodeString(parts[2])
	if err != nil || head.Algorithm != "RS256" {
		return c, 0, nil, errJWT
	}
	switch iss := c.Issuer.(type) {
	case string:
		app, err = strconv.ParseInt(iss, 10, 64)
	case float64:
		app = int64(iss)
	default:
		err = errJWT
	}
	if err != nil {
		return c, 0, nil, errJWT
	}
	return c, app, signature, nil
}

// fromJWT tells which App signed; f.mu is held.
func (f *Forge) fromJWT(s string) (actor, *Problem) {
	c, id, signature, err := parseJWT(s)
	if err != nil {
		return actor{}, errJWT
	}
	a := f.apps[id]
	if a == nil || a.key == nil {
		return actor{}, refuse(http.StatusUnauthorized, "Integration not found")
	}
	sum := sha256.Sum256([]byte(s[:strings.LastIndexByte(s, '.')]))
	if rsa.VerifyPKCS1v15(a.key, crypto.SHA256, sum[:], signature) != nil {
		return actor{}, errJWT
	}
	now := float64(f.now().Unix())
	switch {
	case c.Expires <= now:
		return actor{}, refuse(http.StatusUnauthorized, "'Expiration time' claim ('exp') must be a numeric value representing the future time at which the assertion expires")
	case c.Expires > now+(10*time.Minute).Seconds()+5:
		return actor{}, refuse(http.StatusUnauthorized, "'Expiration time' claim ('exp') is too far in the future")
	case c.Issued > now+5:
		return actor{}, refuse(http.StatusUnauthorized, "'Issued at' claim ('iat') must be an Integer representing the time that the assertion was issued")
	}
	return actor{jwt: a}, nil
}
