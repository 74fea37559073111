"""Messages of every kind, both ways: files, albums, cards, places, polls, keyboards, reactions, groups."""

from telegram import (
    ForceReply,
    InputMediaDocument,
    InputMediaPhoto,
    InputMediaVideo,
    KeyboardButton,
    MessageEntity,
    MessageOriginChannel,
    MessageOriginChat,
    MessageOriginHiddenUser,
    MessageOriginUser,
    ReactionTypeEmoji,
    ReplyKeyboardMarkup,
    ReplyKeyboardRemove,
    ReplyParameters,
    Update,
)
from telegram.constants import ChatMemberStatus, ChatType
from telegram.error import BadRequest

from talk import OLGA, PETER, PNG, check, refused

OFFICE = -501


async def receive_kinds(bot, control, inbox):
    """What customers send beside words, photos and documents."""
    await bot.get_updates(offset=inbox.offset, timeout=0, allowed_updates=Update.ALL_TYPES)
    for kind in ("video", "audio", "voice", "video_note", "animation", "sticker"):
        control.file(b"bytes of a file", chat=OLGA, kind=kind, name="a.bin")
        message = (await inbox.take()).message
        check(message.effective_attachment.file_id, f"a file of the kind {kind}")
    check(message.sticker.emoji == "🙂", "a sticker has its emoji")
    bold = {"type": "bold", "offset": 3, "length": 4}
    first = control.order("message", chat=OLGA, text="👋 bold words", entities=[bold])["message_id"]
    message = (await inbox.take()).message
    check(message.parse_entities() == {message.entities[0]: "bold"}, "the customer's own formatting")
    control.order("message", chat=OLGA, text="yes", reply_to=first, quote="words")
    reply = (await inbox.take()).message
    check(reply.reply_to_message.message_id == first and reply.quote.text == "words", "a reply quotes a part")
    check(reply.quote.position == 8, "and says where it was")
    for origin, kind in (
        ({"type": "user", "id": 5, "name": "Boris"}, MessageOriginUser),
        ({"type": "hidden_user", "name": "Boris"}, MessageOriginHiddenUser),
        ({"type": "chat", "id": -1006, "name": "Club"}, MessageOriginChat),
        ({"type": "channel", "id": -1005, "name": "News", "message_id": 5}, MessageOriginChannel),
    ):
        control.order("message", chat=OLGA, text="news", forward=origin)
        check(isinstance((await inbox.take()).message.forward_origin, kind), f"a forward: {kind.__name__}")
    control.order("location", chat=OLGA, latitude=55.75, longitude=37.62)
    check((await inbox.take()).message.location.latitude == 55.75, "a place")
    control.order("location", chat=OLGA, title="Office", address="Street 1")
    check((await inbox.take()).message.venue.title == "Office", "a place with a name")
    live = control.order("location", chat=OLGA, live_period=600)["message_id"]
    check((await inbox.take()).message.location.live_period.total_seconds() == 600, "a live place")
    control.order("move", chat=OLGA, message_id=live, latitude=1.5, longitude=2.5)
    check((await inbox.take()).edited_message.location.latitude == 1.5, "which moves")
    control.order("poll", chat=OLGA, question="Tea?", options=["yes", "no"])
    check([option.text for option in (await inbox.take()).message.poll.options] == ["yes", "no"], "a poll")
    control.order("reaction", chat=OLGA, message_id=first, emoji=["👍"])
    reaction = (await inbox.take()).message_reaction
    check(reaction.new_reaction == (ReactionTypeEmoji("👍"),) and reaction.message_id == first, "a reaction")
    await keys(bot, control, inbox)
    await groups(bot, control, inbox)


async def keys(bot, control, inbox):
    """Keyboards in the place of the customer's own."""
    rows = [["Prices", KeyboardButton("My number", request_contact=True)], [KeyboardButton("Here", request_location=True)]]
    keyboard = ReplyKeyboardMarkup(rows, resize_keyboard=True, input_field_placeholder="choose")
    sent = await bot.send_message(OLGA, "How can we help?", reply_markup=keyboard)
    check(sent.reply_markup is None, "a reply keyboard is no part of its message")
    control.order("key", chat=OLGA, text="Prices")
    check((await inbox.take()).message.text == "Prices", "a key says its text")
    control.order("key", chat=OLGA, text="My number")
    check((await inbox.take()).message.contact.user_id == OLGA, "a key shares the number")
    control.order("key", chat=OLGA, text="Here")
    check((await inbox.take()).message.location is not None, "a key shares the place")
    check(await bot.send_message(OLGA, "Thanks", reply_markup=ReplyKeyboardRemove()), "the keyboard is taken away")
    check(await bot.send_message(OLGA, "Your name?", reply_markup=ForceReply()), "an answer is asked for")
    in_group = control.order("invite", **{"chat": OFFICE, "from": OLGA, "title": "Office"})
    check(len(in_group["items"]) == 2, "the bot is added to a group")
    check((await inbox.take()).my_chat_member.new_chat_member.status == ChatMemberStatus.MEMBER, "is told of it")
    check((await inbox.take()).message.new_chat_members[0].id == bot.id, "as the others are")
    words = "phone number can be requested in private chats only"
    await refused(BadRequest, words, bot.send_message(OFFICE, "Number?", reply_markup=keyboard))


async def groups(bot, control, inbox):
    """What happens in groups, and what of it the bot may see."""
    def happen(**event):
        return control.order("service", **{"chat": OFFICE, "from": OLGA, **event})

    happen(what="new_chat_members", members=[PETER])
    check((await inbox.take()).message.new_chat_members[0].id == PETER, "somebody is added")
    happen(what="left_chat_member", member=PETER)
    check((await inbox.take()).message.left_chat_member.id == PETER, "somebody leaves")
    happen(what="new_chat_title", title="Board")
    message = (await inbox.take()).message
    check(message.new_chat_title == message.chat.title == "Board", "the group is renamed")
    pinned = await bot.send_message(OFFICE, "rules")
    happen(what="pinned_message", message_id=pinned.message_id)
    check((await inbox.take()).message.pinned_message.message_id == pinned.message_id, "a message is pinned")
    control.order("promote", **{"chat": OFFICE, "from": OLGA})
    promoted = (await inbox.take()).my_chat_member
    check(promoted.new_chat_member.status == ChatMemberStatus.ADMINISTRATOR, "the bot becomes an administrator")
    check(promoted.chat.type == ChatType.GROUP, "of the group")
    control.order("promote", **{"chat": OFFICE, "from": OLGA, "admin": False})
    await inbox.take()
    control.order("privacy", on=True)
    check(not (await bot.get_me()).can_read_all_group_messages, "privacy is told")
    control.order("message", **{"chat": OFFICE, "from": PETER, "text": "among us"})
    control.order("message", **{"chat": OFFICE, "from": PETER, "text": "/help"})
    check((await inbox.take()).message.text == "/help", "the bot hears commands only")
    control.order("privacy", on=False)


async def send_kinds(bot, control):
    """Every kind from the bot."""
    film = b"bytes of a film"
    video = await bot.send_video(OLGA, film, duration=7, width=320, height=240, caption="film", filename="a.mp4")
    check(video.video.width == 320 and video.caption == "film", "a film")
    check((await bot.send_animation(OLGA, film)).animation.file_size == len(film), "a film without sound")
    audio = await bot.send_audio(OLGA, b"music", performer="Band", title="Song", duration=200)
    check((audio.audio.performer, audio.audio.title) == ("Band", "Song"), "music")
    check((await bot.send_voice(OLGA, b"voice", duration=5)).voice.duration.total_seconds() == 5, "a voice message")
    check((await bot.send_video_note(OLGA, film, length=240)).video_note.length == 240, "a round film")
    check((await bot.send_sticker(OLGA, PNG, emoji="👍")).sticker.emoji == "👍", "a sticker")
    check((await bot.send_video(OLGA, video.video)).video.file_unique_id == video.video.file_unique_id, "a film again")
    check((await bot.send_contact(OLGA, "+15551", "Ann")).contact.first_name == "Ann", "a card")
    check((await bot.send_location(OLGA, 51.5, -0.5)).location.longitude == -0.5, "a place")
    check((await bot.send_venue(OLGA, 1, 2, "Office", "Street 1")).venue.address == "Street 1", "a place with a name")
    album = await bot.send_media_group(OLGA, [InputMediaPhoto(PNG, caption="all"), InputMediaVideo(film)])
    check(len(album) == 2 and album[0].media_group_id == album[1].media_group_id, "an album is one group")
    check(album[0].caption == "all" and album[1].video is not None, "of the files in their order")
    mixed = [InputMediaPhoto(PNG), InputMediaDocument(b"act")]
    await refused(BadRequest, "can't be mixed with other media types", bot.send_media_group(OLGA, mixed))
    entity = MessageEntity(MessageEntity.BOLD, 0, 2)
    quoted = ReplyParameters(album[0].message_id, quote="all")
    reply = await bot.send_message(OLGA, "👋", entities=[entity], reply_parameters=quoted)
    check(reply.quote.text == "all" and reply.entities[0].length == 2, "a reply quotes, an entity lies on an emoji")
    row = control.order("message", chat=OLGA, text="hello")["message_id"]
    check(await bot.set_message_reaction(OLGA, row, "👍"), "the bot reacts")
    check(await bot.set_message_reaction(OLGA, row), "and no longer does")
    await refused(BadRequest, "REACTION_INVALID", bot.set_message_reaction(OLGA, row, "🏠"))
