// SPDX-License-Identifier: Apache-2.0

// The JWT carriers, written from docs/protocol.md alone.
package main

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/rand"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
)

// The keys of the profile's tokens, and what Authentication-Info says of request n.
type tokenKeys struct {
	h        hashInfo
	alg      string
	jws, jwe []byte
	info     func(n uint64) string
}

func newTokenKeys(state tls.ConnectionState, o *options) (*tokenKeys, error) {
	if strings.HasPrefix(o.profile, "v1") {
		c, err := newChannel(state, o)
		if err != nil {
			return nil, err
		}
		return &tokenKeys{c.h, "HS" + o.hash[4:], c.jwsKey(), c.jweKey(), c.info}, nil
	}
	h := hashes["SHA-256"]
	keys := &tokenKeys{h: h, alg: "HS256", info: func(uint64) string { return "" }}
	for context, key := range map[string]*[]byte{"sig_key": &keys.jws, "enc_key": &keys.jwe} {
		ekm, err := state.ExportKeyingMaterial("EXPORTER-Channel-Binding", []byte(context), 32)
		if err != nil {
			return nil, err
		}
		*key = mac(h, o.key, ekm)
	}
	return keys, nil
}

func sealer(key []byte) cipher.AEAD {
	block, _ := aes.NewCipher(key)
	gcm, _ := cipher.NewGCM(block)
	return gcm
}

func encode(object map[string]interface{}) string {
	text, _ := json.Marshal(object)
	return b64.EncodeToString(text)
}

func bearer(state tls.ConnectionState, o *options, n uint64) (map[string]string, string, error) {
	keys, err := newTokenKeys(state, o)
	if err != nil {
		return nil, "", err
	}
	head, claims := map[string]interface{}{"alg": keys.alg}, map[string]interface{}{"iss": "issuer", "sub": "subject"}
	outer := map[string]interface{}{"alg": "dir", "cty": "JWT", "enc": "A256GCM", "kid": "client_1", "typ": "JWT"}
	if strings.HasPrefix(o.profile, "v1") {
		head["kid"], outer["kid"] = o.id, o.id
		claims = map[string]interface{}{"n": n, "sub": o.id}
	}
	token := encode(head) + "." + encode(claims)
	token += "." + b64.EncodeToString(mac(keys.h, keys.jws, []byte(token)))
	if strings.HasSuffix(o.profile, "jwe") {
		nonce := make([]byte, 12)
		if _, err := rand.Read(nonce); err != nil {
			return nil, "", err
		}
		sealed := sealer(keys.jwe).Seal(nil, nonce, []byte(token), []byte(encode(outer)))
		at := len(sealed) - 16
		token = fmt.Sprintf("%s..%s.%s.%s", encode(outer), b64.EncodeToString(nonce), b64.EncodeToString(sealed[:at]),
			b64.EncodeToString(sealed[at:]))
	}
	return map[string]string{"Authorization": "Bearer " + token}, keys.info(n), nil
}

func open(key []byte, token string) (string, error) {
	parts := strings.Split(token, ".")
	if len(parts) != 5 || parts[1] != "" {
		return "", errors.New("not a JWE")
	}
	nonce, err1 := b64.DecodeString(parts[2])
	sealed, err2 := b64.DecodeString(parts[3])
	tag, err3 := b64.DecodeString(parts[4])
	if err1 != nil || err2 != nil || err3 != nil || len(nonce) != 12 {
		return "", errors.New("base64url")
	}
	plain, err := sealer(key).Open(nil, nonce, append(sealed, tag...), []byte(parts[0]))
	return string(plain), err
}

// The n of a token that is right (1 in the compat profiles, which have none), and the answer's
// Authentication-Info.
func verifyBearer(value string, state tls.ConnectionState, o *options) (uint64, string, error) {
	keys, err := newTokenKeys(state, o)
	if err != nil {
		return 0, "", err
	}
	token := strings.TrimPrefix(value, "Bearer ")
	if strings.HasSuffix(o.profile, "jwe") {
		if token, err = open(keys.jwe, token); err != nil {
			return 0, "", err
		}
	}
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return 0, "", errors.New("not a JWS")
	}
	signature, err := b64.DecodeString(parts[2])
	if err != nil || !hmac.Equal(signature, mac(keys.h, keys.jws, []byte(parts[0]+"."+parts[1]))) {
		return 0, "", errors.New("signature")
	}
	var head struct{ Alg string }
	claims := struct {
		N   uint64
		Sub string
	}{N: 1}
	for i, to := range []interface{}{&head, &claims} {
		text, err := b64.DecodeString(parts[i])
		if err != nil || json.Unmarshal(text, to) != nil {
			return 0, "", errors.New("JSON")
		}
	}
	if head.Alg != keys.alg || (strings.HasPrefix(o.profile, "v1") && (claims.Sub != o.id || claims.N == 0)) {
		return 0, "", errors.New("alg, sub or n")
	}
	return claims.N, keys.info(claims.N), nil
}
