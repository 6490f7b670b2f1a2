// The login of a user who is known, as one would write it in Go: for the benchmark, not for use.
package main

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
)

const sessionTTL = 7 * 24 * time.Hour

type app struct {
	ID     string `json:"appId"`
	Secret string `json:"appSecret"`
}

type backend struct {
	app       app
	aead      cipher.AEAD
	wechatURL string
	table     string
	dynamodb  *dynamodb.Client
}

type codeSession struct {
	ErrCode    int    `json:"errcode"`
	OpenID     string `json:"openid"`
	SessionKey string `json:"session_key"`
}

func main() {
	b, err := start(context.Background())
	if err != nil {
		slog.Error("start", "error", err)
		os.Exit(1)
	}
	lambda.Start(b.login)
}

func start(ctx context.Context) (*backend, error) {
	var apps []app
	if err := json.Unmarshal([]byte(os.Getenv("WECHAT_APPS")), &apps); err != nil {
		return nil, err
	}
	key := sha256.Sum256([]byte(os.Getenv("SEAL_KEY")))
	block, err := aes.NewCipher(key[:])
	if err != nil {
		return nil, err
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		return nil, err
	}
	cfg, err := config.LoadDefaultConfig(ctx)
	if err != nil {
		return nil, err
	}
	return &backend{
		app:       apps[0],
		aead:      aead,
		wechatURL: os.Getenv("WECHAT_API_URLS"),
		table:     os.Getenv("TABLE_NAME"),
		dynamodb:  dynamodb.NewFromConfig(cfg),
	}, nil
}

func (b *backend) login(ctx context.Context, event events.APIGatewayV2HTTPRequest) (events.APIGatewayV2HTTPResponse, error) {
	var input struct {
		Code string `json:"code"`
	}
	if err := json.Unmarshal([]byte(event.Body), &input); err != nil {
		return events.APIGatewayV2HTTPResponse{StatusCode: http.StatusBadRequest}, nil
	}
	session, err := b.code2Session(ctx, input.Code)
	if err != nil {
		return events.APIGatewayV2HTTPResponse{}, err
	}
	identity, err := b.dynamodb.BatchGetItem(ctx, &dynamodb.BatchGetItemInput{
		RequestItems: map[string]types.KeysAndAttributes{b.table: {
			Keys:           []map[string]types.AttributeValue{key("OPENID#"+b.app.ID+"#"+session.OpenID, "OPENID")},
			ConsistentRead: aws.Bool(true),
		}},
	})
	if err != nil {
		return events.APIGatewayV2HTTPResponse{}, err
	}
	found := identity.Responses[b.table]
	if len(found) == 0 {
		return events.APIGatewayV2HTTPResponse{}, errors.New("the benchmark's user is known")
	}
	userID := found[0]["userId"].(*types.AttributeValueMemberS).Value
	var user *dynamodb.GetItemOutput
	read := make(chan error, 1)
	go func() {
		var err error
		user, err = b.dynamodb.GetItem(ctx, &dynamodb.GetItemInput{
			TableName:      &b.table,
			Key:            key("USER#"+userID, "USER"),
			ConsistentRead: aws.Bool(true),
		})
		read <- err
	}()
	token, err := b.save(ctx, input.Code, userID, session)
	if err := errors.Join(err, <-read); err != nil {
		return events.APIGatewayV2HTTPResponse{}, err
	}
	_, hasUnionID := user.Item["unionId"]
	body, err := json.Marshal(map[string]any{
		"token":     token,
		"expiresIn": int(sessionTTL.Seconds()),
		"user":      map[string]any{"id": userID, "isNew": false, "hasUnionId": hasUnionID, "phoneNumber": nil},
	})
	return events.APIGatewayV2HTTPResponse{
		StatusCode: http.StatusOK,
		Headers:    map[string]string{"content-type": "application/json"},
		Body:       string(body),
	}, err
}

func (b *backend) code2Session(ctx context.Context, code string) (*codeSession, error) {
	query := url.Values{"appid": {b.app.ID}, "secret": {b.app.Secret}, "js_code": {code}, "grant_type": {"authorization_code"}}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, b.wechatURL+"/sns/jscode2session?"+query.Encode(), nil)
	if err != nil {
		return nil, err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	var session codeSession
	if err := json.NewDecoder(response.Body).Decode(&session); err != nil {
		return nil, err
	}
	if session.ErrCode != 0 {
		return nil, errors.New("WeChat refused")
	}
	return &session, nil
}

// Three rows in one transaction: the session, its line in the user's partition, the login code.
func (b *backend) save(ctx context.Context, code, userID string, session *codeSession) (string, error) {
	random := make([]byte, 32)
	if _, err := rand.Read(random); err != nil {
		return "", err
	}
	token := base64.RawURLEncoding.EncodeToString(random)
	hash := digest(token)
	expires := &types.AttributeValueMemberN{Value: strconv.FormatInt(time.Now().Add(sessionTTL).Unix(), 10)}
	row := key("SESSION#"+hash, "SESSION")
	row["userId"] = &types.AttributeValueMemberS{Value: userID}
	row["appId"] = &types.AttributeValueMemberS{Value: b.app.ID}
	row["openId"] = &types.AttributeValueMemberS{Value: session.OpenID}
	row["sessionKey"] = &types.AttributeValueMemberB{Value: b.seal([]byte(session.SessionKey))}
	line := key("USER#"+userID, "SESSION#"+hash)
	used := key("CODE#"+digest(b.app.ID+"\n"+code), "CODE")
	used["sealed"] = &types.AttributeValueMemberB{Value: b.seal([]byte(token))}
	writes := make([]types.TransactWriteItem, 0, 3)
	for _, item := range []map[string]types.AttributeValue{row, line, used} {
		item["expiresAt"], item["ttl"] = expires, expires
		writes = append(writes, types.TransactWriteItem{Put: &types.Put{TableName: &b.table, Item: item}})
	}
	_, err := b.dynamodb.TransactWriteItems(ctx, &dynamodb.TransactWriteItemsInput{TransactItems: writes})
	return token, err
}

func (b *backend) seal(plaintext []byte) []byte {
	nonce := make([]byte, b.aead.NonceSize())
	_, _ = rand.Read(nonce)
	return b.aead.Seal(nonce, nonce, plaintext, nil)
}

func key(pk, sk string) map[string]types.AttributeValue {
	return map[string]types.AttributeValue{
		"pk": &types.AttributeValueMemberS{Value: pk},
		"sk": &types.AttributeValueMemberS{Value: sk},
	}
}

func digest(text string) string {
	sum := sha256.Sum256([]byte(text))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}
