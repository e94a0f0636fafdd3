"""What exports, mail and apps put around a message: times, names, tags, ruled lines, signatures, known sites.

Most messages of the corpus stand bare, and a model that is fitted on them as they are takes such things for evidence: a
time in front hid every tenth fraud from it, a link to the government's site behind them made a fraud of every eighth
honest message. In training, frauds and honest texts alike are therefore shown joined to such scraps, which takes most
of their weight. Alone they are not shown: as honest examples they would take it from the contacts that they look like.

Used in training only.
"""

from __future__ import annotations

import string
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import random
    from collections.abc import Callable

__all__ = ["wrappings"]

MOST_PARTS = 3
"""Of how many parts a scrap consists at most."""

RULES = "-=_*.~#+—─━…·•═▪◆★☆※。|/\\^<>"
"""What lines are ruled with."""

MARKS = "。！？~～…!?.，、"
"""What a sentence ends with, here several times: once it is a sign of care, which honest messages show more often."""

FACES = "😊😂🙏👍🌹❤😄😁🤝💪🎉🔥😭🥰✨✅📢⚠🎁💐"

LETTERS = string.ascii_letters + string.digits
HEXADECIMAL = "0123456789abcdef"

STICKERS = (
    "微笑 呲牙 偷笑 玫瑰 抱拳 强 爱心 捂脸 流泪 OK 握手 拥抱 太阳 咖啡 龇牙 合十 庆祝 红包 发怒 害羞 Smile "
    "Facepalm Heart"
).split()

KINDS = (
    "图片 语音 视频 文件 链接 动画表情 表情 位置 名片 聊天记录 小程序 语音通话 转账 通话时长01:22 PIC Image sticker"
).split()

NAMES = (
    "我 对方 妈妈 老公 老婆 老板 客户 群主 管理员 班主任 房东 师傅 小李 小王 老张 王姐 李哥 陈总 刘老师 阿强 "
    "阿芳 娟子 明明 丽丽 Alice Tom Kevin user User1 A B 甲 乙 本人 用户 好友 陌生人 系统 手机 未知 匿名 张** "
    "李*"
).split()

FIELDS = (
    "内容 短信内容 消息 正文 发送时间 接收时间 时间 日期 发件人 收件人 主题 抄送 来自 号码 类型 状态 编号 "
    "序号 备注 会话 昵称 content text msg message body from to date time subject type id status sender "
    "receiver address"
).split()

TAGS = "p div span br td tr li b a em strong font table img title item body text html h2 ul".split()

ATTRIBUTES = ('class="text"', 'style="color:red"', 'id="content"', 'align="left"', 'width="100%"', 'lang="zh"')

ESCAPES = (
    *("\\n", "\\r\\n", "\\t", "\\u3000", "&nbsp;", "&amp;", "&lt;", "&gt;", "&quot;", "&#39;", "%20", "<br/>"),
    *('\\"', "NULL", "null", "None", "nan"),
)

NOTES = (
    "发自我的iPhone|发自我的小米手机|发自我的华为手机|发自HUAWEI Mate|来自vivo手机|Sent from my iPhone|"
    "Sent from my Galaxy|Get Outlook for Android|获取 Outlook for iOS|发自网易邮箱大师|来自QQ邮箱|"
    "从 Windows 版邮件发送|本邮件由系统自动发出，请勿直接回复|撤回了一条消息|以上是历史消息|以下为新消息|已读|"
    "未读|对方已接收|消息已发出|转发|转：|转发自群聊|Re:|RE:|Fwd:|FW:|答复:|回复|引用|-----原始邮件-----|-- |"
    "--- Forwarded message ---|on wrote:|(完)|（全文）|[全文]|展开|收起|查看更多|复制|编辑于|发布于|阅读|赞|短信|"
    "彩信|语音转文字|识别结果|截图|OCR|第1页|1/2|(1/3)|2."
).split("|")

QUOTES = ("> ", ">> ", "“”", "「」", '""', "『』", "''", "《》", "（）", "- ", "* ", "1. ", "1、", "①", "# ", "**", "`")

SITES = (
    "gov.cn beijing.gov.cn mps.gov.cn moe.gov.cn chinatax.gov.cn edu.cn tsinghua.edu.cn people.com.cn "
    "cctv.com chinanews.com qq.com mp.weixin.qq.com docs.qq.com sina.com.cn weibo.com 163.com sohu.com "
    "ifeng.com zhihu.com bilibili.com baidu.com pan.baidu.com douban.com douyin.com kuaishou.com "
    "xiaohongshu.com jianshu.com csdn.net gitee.com taobao.com tmall.com jd.com pinduoduo.com meituan.com "
    "dianping.com ele.me ctrip.com qunar.com 12306.cn 10086.cn 10010.com 189.cn icbc.com.cn ccb.com "
    "abchina.com boc.cn cmbchina.com spdb.com.cn alipay.com unionpay.com chinapost.com.cn sf-express.com "
    "amap.com didiglobal.com anjuke.com lianjia.com 58.com zhaopin.com 51job.com feishu.cn dingtalk.com "
    "wjx.cn huawei.com mi.com apple.com microsoft.com adobe.com github.com stackoverflow.com wikipedia.org "
    "youtube.com google.com facebook.com line.me pchome.com.tw momoshop.com.tw gov.tw gov.hk example.com "
    "localhost 127.0.0.1 192.168.1.1"
).split()
"""Sites that many know, without a path."""


def wrappings(count: int, rng: random.Random) -> list[str]:
    """Return so many scraps.

    >>> import random
    >>> len(wrappings(3, random.Random(0)))
    3

    """
    return ["\n".join(rng.choice(PARTS)(rng) for _ in range(rng.randint(1, MOST_PARTS))) for _ in range(count)]


def _several(characters: str, fewest: int, most: int, rng: random.Random) -> str:
    return "".join(rng.choices(characters, k=rng.randint(fewest, most)))


def _name(rng: random.Random) -> str:
    return rng.choice(NAMES)


def _time(rng: random.Random) -> str:
    date = rng.choice(("{}-{:02}-{:02}", "{}/{}/{}", "{}.{}.{}", "{}年{}月{}日", "{}{:02}{:02}"))
    clock = rng.choice(("{}:{:02}", "{:02}:{:02}:{:02}", "{}时{:02}分", "{:02}{:02}{:02}"))
    part_of_day = rng.choice(("", "", "", "上午", "下午", "晚上", "昨天 ", "星期三 ", "周日 "))
    return rng.choice(("{} {}", "[{} {}]", "({} {})", "{}T{}Z", "{}", "{}, {}")).format(
        date.format(rng.randint(2008, 2026), rng.randint(1, 12), rng.randint(1, 28)),
        part_of_day + clock.format(rng.randint(0, 23), rng.randint(0, 59), rng.randint(0, 59)),
    )


def _sender(rng: random.Random) -> str:
    form = rng.choice(("{}：", "{}:", "{} 说：", "<{}>", "【{}】", "@{} ", "@所有人 ", "{}\n", "({})"))
    return form.format(rng.choice((_name, _name, _identifier, _digits))(rng))


def _field(rng: random.Random) -> str:
    form = rng.choice(("{}：{}", "{}: {}", '"{}":"{}",', '{{"{}":"{}"', "{}={};", "{}\t{}", "<{0}>{1}</{0}>"))
    return form.format(rng.choice(FIELDS), rng.choice((_name, _digits, _time, lambda _: ""))(rng))


def _tag(rng: random.Random) -> str:
    form = rng.choice(("<{0}></{0}>", "<{0} {1}></{0}>", "<{0}>", "<{0}/>", "</{0}></{0}>"))
    return form.format(rng.choice(TAGS), rng.choice(ATTRIBUTES))


def _escape(rng: random.Random) -> str:
    return rng.choice(ESCAPES) * rng.choice((1, 1, 2, 5))


def _rule(rng: random.Random) -> str:
    return rng.choice(RULES) * rng.randint(3, 12)


def _marks(rng: random.Random) -> str:
    return rng.choice(MARKS) * rng.randint(3, 6)


def _digits(rng: random.Random) -> str:
    return _several(string.digits, 1, 18, rng)


def _identifier(rng: random.Random) -> str:
    forms: tuple[Callable[[], str], ...] = (
        lambda: "-".join(_several(HEXADECIMAL, size, size, rng) for size in (8, 4, 4, 4, 12)),
        lambda: rng.choice(("wxid_", "id", "uid=", "msg", "No.", "user_", "#", "t_")) + _several(LETTERS, 4, 16, rng),
        lambda: _several(HEXADECIMAL, 16, 40, rng),
        lambda: _several(LETTERS + "+/", 12, 60, rng) + rng.choice(("", "=")),
    )
    return rng.choice(forms)()


def _columns(rng: random.Random) -> str:
    cells = (rng.choice((_digits, _time, _name))(rng) for _ in range(rng.randint(2, 5)))
    return rng.choice((",", "|", " | ", "\t", ";", '","')).join(cells)


def _link(rng: random.Random) -> str:
    begin = rng.choice(("https://www.", "http://www.", "https://", "http://", "www.", ""))
    return begin + rng.choice(SITES) + rng.choice(("", "/"))


def _faces(rng: random.Random) -> str:
    if rng.random() < 0.5:
        return _several(FACES, 1, 4, rng)
    return f"[{rng.choice(STICKERS)}]" * rng.randint(1, 3)


def _kind(rng: random.Random) -> str:
    return rng.choice(("[{}]", "【{}】", "<{}>", "({})")).format(rng.choice(KINDS))


def _note(rng: random.Random) -> str:
    return rng.choice(NOTES)


def _quote(rng: random.Random) -> str:
    return rng.choice(QUOTES)


PARTS: tuple[Callable[[random.Random], str], ...] = (
    *(_time, _time, _sender, _sender, _field, _field, _tag, _tag, _escape, _rule, _rule, _marks, _digits, _identifier),
    *(_columns, _link, _link, _faces, _faces, _kind, _note, _note, _quote),
)
