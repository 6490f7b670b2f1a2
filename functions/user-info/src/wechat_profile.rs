//! The profile that WeChat gives the client: signed, and once more encrypted.

use serde::Deserialize;
use shared::secret::Secret;
use shared::store::Session;
use shared::wechat::open_data::{EncryptedData, RawDataSignature, is_signed};
use shared::wechat::{OpenId, SessionKey, UnionId};

use crate::profile::{AvatarUrl, NickName};

/// As the client got it from `wx.getUserInfo` or `wx.getUserProfile`.
pub(crate) struct WechatProfile {
    pub(crate) raw_data: String,
    pub(crate) signature: RawDataSignature,
    pub(crate) data: EncryptedData,
}

/// What WeChat says about the user.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct WechatUserInfo {
    open_id: Option<OpenId>,
    nick_name: Option<Secret>,
    avatar_url: Option<Secret>,
    union_id: Option<UnionId>,
}

impl WechatProfile {
    /// What is in it, if WeChat has signed and encrypted it with this key, for the app of the session and, where it
    /// names a user, for the user of the session. `wx.getUserProfile` names none: the key is the user's own. Other data
    /// that names none, such as a phone number, is no profile, because it has no name.
    pub(crate) fn open(&self, key: &SessionKey, session: &Session) -> Option<WechatUserInfo> {
        let is_signed = is_signed(&self.raw_data, &self.signature, key);
        let opened = self.data.open::<WechatUserInfo>(key)?;
        let names_another = opened.data.open_id.as_ref().is_some_and(|openid| *openid != session.openid);
        let is_ours = opened.watermark.appid == session.app_id && !names_another;
        let is_profile = opened.data.open_id.is_some() || opened.data.nick_name.is_some();
        (is_signed && is_ours && is_profile).then_some(opened.data)
    }
}

impl WechatUserInfo {
    /// The name and the picture, as far as they are of this person and fit into a profile. Everybody who is anonymous
    /// has the same of both.
    pub(crate) fn shown(&self) -> (Option<NickName>, Option<AvatarUrl>) {
        let text = |text: &Option<Secret>| text.as_ref().map(|text| text.expose().to_owned()).unwrap_or_default();
        let nick_name = NickName::try_from(text(&self.nick_name)).ok();
        if nick_name.as_ref().is_some_and(NickName::is_anonymous) {
            return (None, None);
        }
        (nick_name, AvatarUrl::of_wechat(&text(&self.avatar_url)))
    }

    /// The id across apps, where it stands beside the user's openid: WeChat gives both or neither.
    pub(crate) fn unionid(&self) -> Option<UnionId> {
        self.open_id.as_ref().and(self.union_id.clone()).filter(|unionid| !unionid.expose().is_empty())
    }
}
