"""Wrappings: scraps of text as they surround messages.

They are times, names, tags, ruled lines, signatures, the heads and the small print of mails, known sites, courtesies
and contacts. Most messages of the corpus have nothing around them. A model that is fitted on them as they are takes
such scraps for evidence: a time in front of frauds hid every tenth of them, and a QQ number behind honest messages
made frauds of two in five. In training, frauds and honest texts alike are therefore shown joined to such scraps,
which takes away most of the scraps' weight, and to clauses of honest messages. Scraps are not shown alone, because a
message that consists of contacts only may be a fraud.

Used in training only.
"""

from __future__ import annotations

import json
import re
import string
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import random
    from collections.abc import Callable, Iterable, Sequence

__all__ = ["clauses", "wrappings"]

MOST_PARTS = 3
"""The greatest number of parts of a scrap."""

RULES = "-=_*.~#+—─━…·•═▪◆★☆※。|/\\^<>"
"""The characters that ruled lines are made of."""

CLAUSE = re.compile(r"[^，。！？；,!?;\n]{4,30}[，。！？；,!?;]?")
"""A clause, such as which card to bring or where to ask. Honest messages contain such clauses, and so do frauds that
imitate them."""

CLAUSES = (1, 1, 2)
"""The number of clauses in a scrap is drawn from these, so one clause is twice as likely as two."""

MARKS = "。！？~～…!?.，、"
"""Marks that end a sentence. Scraps repeat them, because a single mark is a sign of care, which honest messages show
more often."""

FACES = "😊😂🙏👍🌹❤😄😁🤝💪🎉🔥😭🥰✨✅📢⚠🎁💐"

LETTERS = string.ascii_letters + string.digits
HEXADECIMAL = "0123456789abcdef"

KINDS = (
    "图片 语音 视频 文件 链接 位置 名片 聊天记录 小程序 语音通话 转账 红包 礼物 666 点赞 通话时长01:22 PIC Image"
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

ALONE = 0.4
"""The probability that a time consists of a date alone or a time of day alone."""

DAYS = (
    "{year}-{month:02}-{day:02}|{year}/{month}/{day}|{year}.{month}.{day}|{year}年{month}月{day}日|"
    "{year}{month:02}{day:02}|{month:02}-{day:02}|{month}月{day}日|{month}月{day}号|{month}/{day}|{day}/{month}/{year}|"
    "{name} {day}, {year}|{weekday}, {day} {name} {year}|星期{week}|周{week}|上周{week}|昨天|今天|前天|刚刚|"
    "{year}年{month}月{day}日 星期{week}|{month}月{day}日周{week}|{year}/{month}/{day}({week})|"
    "{han_month}月{han_day}号|{han_month}月{han_day}日"
).split("|")

CLOCKS = (
    "{hour}:{minute:02}|{hour:02}:{minute:02}|{hour:02}:{minute:02}:{second:02}|{hour:02}时{minute:02}分|"
    "{hour}点{minute}分|{hour}点{minute:02}|{twelve}点|{twelve}点半|{twelve}點{minute:02}分|{han_hour}点|{han_hour}点半|"
    "{hour:02}{minute:02}{second:02}|{twelve}:{minute:02} AM|{twelve}:{minute:02} PM|{hour:02}:{minute:02}+08:00|"
    "{hour:02}:{minute:02}:{second:02}Z|{hour:02}:{minute:02}:{second:02}.{minute:03}|{hour:02}：{minute:02}"
).split("|")

PARTS_OF_DAY = "||||上午|上午|下午|下午|早上|早晨|清晨|中午|傍晚|晚上|夜里|凌晨|半夜".split("|")

MONTHS = "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split()

WEEKDAYS = "Mon Tue Wed Thu Fri Sat Sun".split()

NUMERALS = "一 二 三 四 五 六 七 八 九 十 十一 十二 十三 十四 十五 十六 十七 十八 十九 二十".split()

FIRMS = (
    "中国移动 招商银行 京东 顺丰速运 顺丰 移动 联通 电信 工行 建行 农行 招行 银联 腾讯 "
    "中国电信 中国联通 中国广电 工商银行 农业银行 中国银行 建设银行 交通银行 邮储银行 浦发银行 中信银行 "
    "光大银行 民生银行 兴业银行 平安银行 广发银行 华夏银行 浙商银行 北京银行 上海银行 江苏银行 农商银行 "
    "农信社 微众银行 中国银联 云闪付 支付宝 微信支付 财付通 花呗 借呗 京东金融 度小满 美团 美团外卖 饿了么 "
    "淘宝 天猫 拼多多 唯品会 苏宁易购 亚马逊 当当 抖音 快手 小红书 微博 知乎 哔哩哔哩 爱奇艺 优酷 腾讯视频 "
    "腾讯科技 网易 百度 阿里云 华为云 小米 华为 苹果 中通快递 圆通速递 韵达快递 申通快递 极兔速递 菜鸟驿站 "
    "菜鸟裹裹 丰巢 邮政EMS 德邦快递 京东快递 滴滴出行 携程 去哪儿 飞猪 铁路12306 南方航空 东方航空 中国国航 "
    "海南航空 中国平安 中国人寿 太平洋保险 人保财险 泰康在线 众安保险 国泰君安 华泰证券 海通证券 广发证券 "
    "东方财富 同花顺 招商证券 易方达基金 天天基金 国家电网 南方电网 自来水公司 燃气集团 中国石化 中国石油 "
    "ETC助手 高速ETC 交管12123 税务局 人社局 社保局 医保局 公积金中心 公安局 法院 市政府 教育局 疾控中心 "
    "人民医院 协和医院 第一中学 学校教务处 物业服务中心 万科物业 链家 贝壳 自如 万达广场 永辉超市 沃尔玛 "
    "屈臣氏 肯德基 麦当劳 星巴克 瑞幸咖啡 海底捞 国美电器 新东方 学而思 智联招聘 前程无忧 BOSS直聘 58同城 "
    "王者荣耀 腾讯游戏 网易游戏 Steam Apple Google Microsoft 台灣大哥大 遠傳電信 國泰世華 玉山銀行 健保署 "
    "監理站 匯豐銀行 恒生銀行 八達通 香港郵政 公司行政部 财务部 人力资源部 客服中心 通知 提醒 验证码 短信通知 "
    "官方 公告"
).split()
"""The names that messages are signed with, truly or not: frauds use the same names."""

MASKED_FIRMS = "XX XX XXX ** *** ○○ 某公司 某银行 XX银行 某某局 公司名称 签名 机构".split()
"""What exports show in place of such a name."""

SIGNED = "【{}】|【{}】|【{}】|[{}]|〖{}〗|［{}］|（{}）|——{}|{}：|{}提醒您：".split("|")

REFUSALS = (
    "退订回T|回T退订|拒收请回复R|回复TD退订|退订回复TD|回N退订|拒收回复R|退订请回QX|TD退订|退回T|如不需要请回复N|"
    "退訂請回覆T|不再接收请回D|回复0退订|拒收请回TD|[退订回T]|（回T退）|退订请按0"
).split("|")

KEYS = (
    "sms_body thread_id read seen address protocol _id data code result raw extra list talker direction ts lang"
).split()

VALUES: tuple[object, ...] = (None, True, False, 0, 1, -1, "", "N/A", "已读", [], {}, [0])

CELLS = "||0|1|-1|N/A|NULL|null|true|false|已读|接收|收件箱|inbox|SIM1".split("|")

TAGS = "p div span br td tr li b a em strong font table img title item body text html h2 ul".split()

ATTRIBUTES = ('class="text"', 'style="color:red"', 'id="content"', 'align="left"', 'width="100%"', 'lang="zh"')

ESCAPES = ("\\u3000", "&amp;", "&lt;", "&gt;", "&#39;", "%20", '\\"', "NULL", "null", "None", "nan")
"""Escapes that normalising does not drop, and values that are missing."""

NOTES = (
    "发自我的iPhone|发自我的小米手机|发自我的华为手机|发自HUAWEI Mate|来自vivo手机|Sent from my iPhone|"
    "Sent from my Galaxy|Get Outlook for Android|获取 Outlook for iOS|发自网易邮箱大师|来自QQ邮箱|"
    "从 Windows 版邮件发送|本邮件由系统自动发出，请勿直接回复|撤回了一条消息|以上是历史消息|以下为新消息|已读|"
    "未读|对方已接收|消息已发出|转发|转：|转发自群聊|Re:|RE:|Fwd:|FW:|答复:|回复|引用|-----原始邮件-----|-- |"
    "--- Forwarded message ---|on wrote:|(完)|（全文）|[全文]|展开|收起|查看更多|复制|编辑于|发布于|阅读|赞|短信|"
    "彩信|语音转文字|识别结果|截图|OCR|第1页|1/2|(1/3)|2."
).split("|")

REMARKS = (
    "谢谢|谢谢！|谢谢老板|谢谢您了|多谢|麻烦您了|辛苦了|不好意思打扰了|打扰了|抱歉打扰|祝您生活愉快|祝生意兴隆|祝好|顺颂商祺|"
    "感谢您的支持与配合|感谢您的理解|收到，谢谢|收到|好的|嗯嗯|哦|哈哈|哈哈哈哈|呵呵|嘻嘻|在吗|你好|您好|大家好|早上好|晚上好|节日快乐|"
    "温馨提示：|友情提示：|重要提醒|特此通知|请知悉|请互相转告|请查收|请放心|以上信息仅供参考|仅供参考，不构成投资建议|"
    "投资有风险，入市需谨慎|理财非存款，产品有风险|最终解释权归本公司所有|详情见规则|数量有限，先到先得|截止时间6月10日18:00|"
    "时间6月5日上午9点|截止到本月底|明天下午三点|下周一之前|两个工作日内|请勿外传|谨防诈骗|谨防上当|凡是要求转账的都是诈骗|"
    "反诈中心提醒您|警方提醒：|如有疑问请拨打96110|请认准官方渠道|如非本人操作请忽略|如有打扰敬请谅解|本邮件仅供收件人使用|"
    "如误收请删除|This email is confidential.|Thanks|Best regards|评论：|写评论|说点什么|2天前|阅读全文|点赞 收藏 转发|"
    "#日常#|兄弟，|姐，|哥，|亲，|亲爱的，|家人们，|朋友们，|各位：|各位业主：|各位家长：|叔叔阿姨，|爷爷奶奶，|小朋友，|宝贝，|老师好，|"
    "尊敬的客户：|尊敬的用户：|不收取任何费用|一分钱不收|全程免费|免费办理|无需缴费|不用花钱|不收手续费|请带好证件|携带本人身份证|带上户口本|"
    "凭有效证件办理|材料带齐|有效期至月底|有效期7天|三日内有效|逾期作废|过期不候|当日有效|请提前电话预约|请准时到场|按时参加|收到请回复|"
    "详见官网|请登录官网查询|请在手机APP查看|以官方公告为准|请到营业厅办理|到就近网点办理|请到柜台办理|可拨打客服热线咨询|请咨询居委会|"
    "由街道统一组织|有问题找物业|如有疑问请咨询客服|次日到账|1至3个工作日到账|预计两小时内处理完毕|请耐心等待|给您带来不便敬请谅解|"
    "祝您工作顺利|祝阖家幸福|祝您一路平安|周末快乐|改天一起吃饭|回头请你喝茶|路上小心|注意身体|早点休息|天冷多穿点|货到再付|支持验货|"
    "先验货再付款|满意再付款|七天无理由|可开发票|包邮|限时优惠|仅剩几个名额|先到先得|机会难得|欲购从速|非诚勿聊|诚心的来|管吃管住|日结|"
    "公司正规|手续齐全|有营业执照|资料保密|随到随办|长期有效|切勿告诉他人|请勿泄露给任何人"
).split("|")
"""Remarks that anybody makes before, after and between messages."""

CONTACTS = (
    "QQ{}|QQ：{}|QQ群{}|Q群：{}|加QQ{}|扣扣{}|微信{}|微信：{}|加微信{}|微信号{}|VX：{}|加V{}|WeChat: {}|电话{}|"
    "电话：{}|联系电话{}|Tel: {}|手机{}|联系{}|联系人{}|咨询{}|咨询热线{}|客服{}|热线：{}|报名{}|预约{}|订购{}|"
    "Line：{}|TG：@{}|WhatsApp {}|邮箱{}@example.com|扫码进群|扫码加好友|扫描二维码|私信我|有意私聊|私聊|加群|进群|"
    "戳我头像|详询客服|欢迎来电咨询|联系管理员|有事微信说|加个好友"
).split("|")
"""Ways to get in touch, in honest messages and frauds alike."""

FOOTERS = (
    "本邮件及附件含有保密信息，仅限收件人使用，禁止任何其他人以任何形式使用。|如您误收本邮件，请立即通知发件人并删除，谢谢！|"
    "此邮件由系统自动发送，无人值守，请不要直接回复。|您收到这封邮件是因为您订阅了我们的资讯，如需退订请点击此处。|"
    "如果您不想再收到此类邮件，请点击退订|邮件无法正常显示？请在浏览器中查看|将本地址加入通讯录可以避免漏收邮件|"
    "版权所有，未经许可不得转载|保护环境，请考虑是否需要打印此邮件|本邮件不构成任何要约或承诺，一切以书面合同为准。|"
    "本公司对邮件传输中产生的错误、病毒和延误不承担责任。|转载请注明出处，侵权请联系删除|部分图片来自网络，版权归原作者|"
    "以上内容不代表本平台立场|文中人物均为化名|广告|推广|本文内容由用户发布|This message may contain confidential "
    "information. If you are not the intended recipient, please delete it.|Unsubscribe|View in browser|"
    "All rights reserved.|Disclaimer: the views expressed are those of the author."
).split("|")
"""What mail programs, firms and sites put under texts of all kinds."""

HEADERS = (
    "发件人：{} <{}@example.com>",
    "收件人：{} <{}@example.com>",
    "From: {} <{}@example.com>",
    "To: {} <{}@example.com>",
)

SUBJECTS = (
    "通知 关于付款 会议安排 订单 发票 账户 您好 (无主题) 回复 重要 Re: Fwd: 自动回复 资料 合作 账单 面试 报价单".split()
)

TOPICS = (
    "日常 生活 职场 校园 打卡 好物分享 美食 健身 读书 旅行 宝妈 考研 手游 闲置 租房 同城 搞笑 热点 知识分享 干货 "
    "正能量 今日份快乐"
).split()
"""Topics that posts of all kinds are tagged with."""

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
"""Well-known sites, without a path."""


def wrappings(count: int, rng: random.Random) -> list[str]:
    """Return ``count`` random scraps.

    >>> import random
    >>> len(wrappings(3, random.Random(0)))
    3

    """
    return ["\n".join(rng.choice(PARTS)(rng) for _ in range(rng.randint(1, MOST_PARTS))) for _ in range(count)]


def clauses(texts: Iterable[str], count: int, rng: random.Random) -> list[str]:
    """Return ``count`` random scraps of one or two clauses of a text, or none if no text has a clause.

    >>> import random
    >>> clauses(["请带身份证，周末不上班"], 2, random.Random(1))
    ['周末不上班周末不上班', '请带身份证，']

    """
    found = [parts for text in texts if (parts := CLAUSE.findall(text))]
    return ["".join(rng.choices(rng.choice(found), k=rng.choice(CLAUSES))) for _ in range(count if found else 0)]


def _several(characters: str, fewest: int, most: int, rng: random.Random) -> str:
    return "".join(rng.choices(characters, k=rng.randint(fewest, most)))


def _one_of(choices: Sequence[str]) -> Callable[[random.Random], str]:
    return lambda rng: rng.choice(choices)


_name = _one_of(NAMES)


def _time(rng: random.Random) -> str:
    hour = rng.randint(0, 23)
    values = {
        "year": rng.randint(2008, 2027),
        "month": rng.randint(1, 12),
        "day": rng.randint(1, 28),
        "name": rng.choice(MONTHS),
        "week": rng.choice("一二三四五六日天"),
        "weekday": rng.choice(WEEKDAYS),
        "hour": hour,
        "twelve": hour % 12 or 12,
        "minute": rng.randint(0, 59),
        "second": rng.randint(0, 59),
        "han_month": rng.choice(NUMERALS[:12]),
        "han_day": rng.choice(NUMERALS),
        "han_hour": rng.choice(NUMERALS[:12]),
    }
    parts = [rng.choice(DAYS), rng.choice(PARTS_OF_DAY) + rng.choice(CLOCKS)]
    if rng.random() < ALONE:
        del parts[rng.randrange(2)]
    form = rng.choice(("{}", "{}", "{}", "[{}]", "({})", "【{}】", "{}：", "于{}", "时间：{}"))
    return form.format(rng.choice((" ", " ", "", "，", "\n", "T")).join(parts).format(**values))


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


def _firm(rng: random.Random) -> str:
    return rng.choice(SIGNED).format(rng.choice(rng.choice((FIRMS, FIRMS, FIRMS, MASKED_FIRMS))))


def _record(rng: random.Random) -> str:
    """Return other fields of a row of an export, as JSON or separated by delimiters."""
    size = rng.randint(2, 7)
    if rng.random() < 1 / 3:
        names = (rng.choice(FIELDS + KEYS) for _ in range(size))
        values = {name: rng.choice((*VALUES, rng.randrange(10**9), rng.choice(NAMES))) for name in names}
        return json.dumps(values, ensure_ascii=False)
    kinds = (_one_of(CELLS), _digits, _time, _name)
    return rng.choice((",", "|", " | ", "\t", ";", '","')).join(rng.choice(kinds)(rng) for _ in range(size))


def _link(rng: random.Random) -> str:
    begin = rng.choice(("https://www.", "http://www.", "https://", "http://", "www.", ""))
    return begin + rng.choice(SITES) + rng.choice(("", "/"))


def _faces(rng: random.Random) -> str:
    return _several(FACES, 1, 4, rng)


def _kind(rng: random.Random) -> str:
    return rng.choice(("[{}]", "【{}】", "<{}>", "({})")).format(rng.choice(KINDS))


def _mail(rng: random.Random) -> str:
    """Return the head of a mail."""
    lines = [rng.choice(HEADERS).format(_name(rng), _several(LETTERS, 3, 10, rng)) for _ in range(rng.randint(1, 2))]
    if rng.random() < 0.7:
        lines.append(rng.choice(("主题：", "主题: ", "Subject: ", "标题：")) + rng.choice(SUBJECTS))
    return "\n".join(lines)


def _topics(rng: random.Random) -> str:
    form = rng.choice(("#{}", "#{}#", "#{}[话题]#"))
    return " ".join(form.format(rng.choice(TOPICS)) for _ in range(rng.randint(1, 4)))


def _contact(rng: random.Random) -> str:
    characters = rng.choice((string.digits, string.digits, string.digits + string.ascii_lowercase))
    return rng.choice(CONTACTS).format(_several(characters, 5, 11, rng))


PARTS: tuple[Callable[[random.Random], str], ...] = (
    *(_time, _time, _time, _firm, _firm, _firm, _one_of(REFUSALS), _sender, _sender, _record, _record),
    *(_field, _field, _tag, _tag, _escape, _rule, _rule, _marks, _digits, _identifier),
    *(_one_of(FOOTERS), _one_of(FOOTERS), _one_of(FOOTERS), _mail, _mail, _topics),
    *(_link, _link, _faces, _kind, _one_of(NOTES), _one_of(NOTES), _one_of(QUOTES)),
    *(_one_of(REMARKS),) * 8,
    *(_contact,) * 5,
)
