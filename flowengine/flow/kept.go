package flow

import "encoding/json"

// What the core keeps sealed in Authenticator.Secret, for those who write
// authenticators that the core is to read. A password is kept as its hash, and
// what is sent to an address as the address in its canonical form.

// TOTPSecret is what is sealed of an authenticator app whose key, in base32
// without padding, was made elsewhere.
func TOTPSecret(key string) string { return jsonText(totpKey{Key: key}) }

// TOTPKey is the key in base32 of what was sealed.
func TOTPKey(secret string) (string, error) {
	var k totpKey
	err := json.Unmarshal([]byte(secret), &k)
	return k.Key, err
}

// RecoveryCodesSecret is what is sealed of the codes that are left: base64url of
// the SHA-256 of each.
func RecoveryCodesSecret(hashes []string) string { return jsonText(hashes) }

// RecoveryCodeHashes are the hashes of what was sealed.
func RecoveryCodeHashes(secret string) (hashes []string, err error) {
	err = json.Unmarshal([]byte(secret), &hashes)
	return hashes, err
}

func jsonText(v any) string {
	text, err := json.Marshal(v)
	if err != nil {
		panic(err) // plain values
	}
	return string(text)
}
