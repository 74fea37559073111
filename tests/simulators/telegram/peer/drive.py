"""Drives the simulator with python-telegram-bot: a client that parses every answer into its own types.

Every check compares with what the Bot API promises. The first mismatch ends the run with status 1.
"""

import argparse
import asyncio
import os
import sys
import time

# Times as timedelta, which a later major version of the client makes its only way.
os.environ["PTB_TIMEDELTA"] = "true"

from telegram import Bot, InlineKeyboardButton, InlineKeyboardMarkup, ReplyParameters
from telegram.constants import ChatAction, ChatMemberStatus, ChatType, MessageEntityType, ParseMode
from telegram.error import BadRequest, Conflict, Forbidden, InvalidToken, RetryAfter, TelegramError

from changing import change, menu
from kinds import receive_kinds, send_kinds
from talk import GROUP, NEXT_GROUP, OLGA, PETER, PNG, STRANGER, Control, Inbox, Mismatch, check, refused


async def receive(bot, control, inbox):
    """Updates of every kind, acknowledged by offset only."""
    waiting = asyncio.create_task(inbox.take())
    while not control.state()["polls"]["waiting"]:
        await asyncio.sleep(0.01)
    text = "Hello 👋 see https://example.org"
    deed = control.order("message", chat=OLGA, text=text, first_name="Olga", username="olga_p", language_code="ru")
    update = await waiting
    message = update.message
    check(message.text == text and message.message_id == deed["message_id"], "a waiting poll gets the message")
    check(message.chat.type == ChatType.PRIVATE and message.chat.id == OLGA, "a private chat is its customer")
    check(message.from_user.username == "olga_p" and not message.from_user.is_bot, "the customer is told")
    link = message.entities[0]
    check(link.type == MessageEntityType.URL, "the link is found")
    check(message.parse_entity(link) == "https://example.org", "its offset counts UTF-16 units")
    again = await bot.get_updates(offset=update.update_id, timeout=0)
    check([one.update_id for one in again] == [update.update_id], "unconfirmed updates come again")

    control.order("edit", chat=OLGA, message_id=message.message_id, text="Hello!")
    edited = (await inbox.take()).edited_message
    check(edited.text == "Hello!" and edited.edit_date is not None, "an edit carries the whole new text")
    control.order("photo", chat=OLGA, caption="look")
    photo = (await inbox.take()).message
    whole = await (await bot.get_file(photo.photo[-1])).download_as_bytearray()
    check(whole[:2] == b"\xff\xd8", "its largest size is downloaded")
    act = bytes(range(256)) * 400
    control.file(act, chat=OLGA, kind="document", name="act.pdf", mime="application/pdf", caption="signed")
    document = (await inbox.take()).message
    check(document.caption == "signed" and document.document.file_name == "act.pdf", "a document has a name")
    check(document.document.mime_type == "application/pdf" and document.document.file_size == len(act), "and a type and a size")
    there = await document.document.get_file()
    check(there.file_unique_id == document.document.file_unique_id, "getFile finds it")
    check(bytes(await there.download_as_bytearray()) == act, "and its bytes are the customer's")
    control.file(act, chat=OLGA, kind="voice")
    check((await inbox.take()).message.voice.mime_type == "audio/ogg", "a voice message")
    control.file(act, chat=OLGA, kind="sticker")
    check((await inbox.take()).message.sticker.width == 512, "a sticker")
    for _ in range(2):
        control.file(bytes(whole), chat=OLGA, kind="photo", album="77")
    album = [(await inbox.take()).message for _ in range(2)]
    check([one.media_group_id for one in album] == ["77", "77"], "an album is two messages of one group")
    control.file(b"x", chat=OLGA, kind="document", claims_bytes=(20 << 20) + 1)
    large = (await inbox.take()).message.document
    await refused(BadRequest, "file is too big", large.get_file())
    await refused(BadRequest, "wrong file_id", bot.get_file("nonsense"))
    check(photo.caption == "look" and len(photo.photo) == 3, "a photo comes in three sizes")
    check(max(photo.photo, key=lambda size: size.width).width == 1280, "the largest is the whole picture")
    control.order("contact", chat=OLGA, own=True)
    contact = (await inbox.take()).message.contact
    check(contact.user_id == OLGA and contact.phone_number.startswith("+"), "the own contact has the own id")
    control.order("contact", chat=OLGA, own=False)
    check((await inbox.take()).message.contact.user_id != OLGA, "a foreign contact has not")
    control.order("start", chat=PETER, payload="deep_link")
    started = (await inbox.take()).message
    check(started.text == "/start deep_link", "a deep link carries its payload")
    check(started.entities[0].type == MessageEntityType.BOT_COMMAND, "a command is found")
    control.order("group", chat=GROUP, title="Office")
    control.order("message", **{"chat": GROUP, "from": PETER, "text": "hi all", "first_name": "Peter"})
    grouped = (await inbox.take()).message
    check(grouped.chat.type == ChatType.GROUP and grouped.from_user.first_name == "Peter", "a group names its author")


async def send(bot, control, inbox):
    """Sending, editing, deleting, buttons and their refusals."""
    control.order("limits", enforce=False)
    sent = await bot.send_message(OLGA, "  plain 👋  ")
    check(sent.text == "plain 👋" and sent.chat.id == OLGA and sent.from_user.is_bot, "a text is trimmed and sent")
    twin = await bot.send_message(OLGA, "plain 👋")
    check(twin.message_id != sent.message_id, "two equal calls make two messages")
    bold = await bot.send_message(OLGA, "*bold* _it_", parse_mode=ParseMode.MARKDOWN_V2)
    check([entity.type for entity in bold.entities] == ["bold", "italic"], "MarkdownV2 becomes entities")
    html = await bot.send_message(OLGA, "👋 <b>bold</b> &lt;", parse_mode=ParseMode.HTML)
    check(html.text == "👋 bold <" and html.entities[0].offset == 3, "HTML becomes entities")
    await refused(BadRequest, "can't parse entities", bot.send_message(OLGA, "1.0", parse_mode=ParseMode.MARKDOWN_V2))
    await refused(BadRequest, "message is too long", bot.send_message(OLGA, "x" * 4097))
    await refused(BadRequest, "text must be non-empty", bot.send_message(OLGA, " \n "))
    await refused(BadRequest, "message text is empty", bot.send_message(OLGA, ""))
    reply = await bot.send_message(OLGA, "answer", reply_parameters=ReplyParameters(sent.message_id))
    check(reply.reply_to_message.message_id == sent.message_id, "a reply quotes its message")
    nowhere = ReplyParameters(999_999)
    await refused(BadRequest, "message to be replied not found", bot.send_message(OLGA, "x", reply_parameters=nowhere))
    freely = ReplyParameters(999_999, allow_sending_without_reply=True)
    check((await bot.send_message(OLGA, "x", reply_parameters=freely)).reply_to_message is None, "or goes without")

    edited = await bot.edit_message_text("changed", OLGA, sent.message_id)
    check(edited.text == "changed" and edited.edit_date is not None, "an own message is edited")
    await refused(BadRequest, "message is not modified", bot.edit_message_text("changed", OLGA, sent.message_id))
    await refused(BadRequest, "message to edit not found", bot.edit_message_text("changed", OLGA, 999_999))
    check(await bot.delete_message(OLGA, twin.message_id), "a message is deleted")
    await refused(BadRequest, "message to delete not found", bot.delete_message(OLGA, twin.message_id))
    check(await bot.send_chat_action(OLGA, ChatAction.TYPING), "a chat action is shown")
    await refused(BadRequest, "wrong parameter action", bot.send_chat_action(OLGA, "dancing"))
    check((await bot.get_chat(OLGA)).username == "olga_p", "a chat is told")
    check(await bot.set_my_commands([("help", "what I can do")]), "commands are set")

    keyboard = InlineKeyboardMarkup.from_button(InlineKeyboardButton("Yes", callback_data="y:1"))
    asked = await bot.send_message(OLGA, "Sure?", reply_markup=keyboard)
    check(asked.reply_markup == keyboard, "an inline keyboard is shown")
    control.order("callback", chat=OLGA, message_id=asked.message_id, data="y:1")
    query = (await inbox.take()).callback_query
    check(query.data == "y:1" and query.message.message_id == asked.message_id, "a press names its message")
    check(await query.answer("thanks"), "a press is answered")
    await refused(BadRequest, "query is too old", bot.answer_callback_query(query.id))
    long = InlineKeyboardMarkup.from_button(InlineKeyboardButton("No", callback_data="я" * 33))
    await refused(BadRequest, "button_data_invalid", bot.send_message(OLGA, "x", reply_markup=long))
    row = [InlineKeyboardButton("b", callback_data=str(n)) for n in range(101)]
    await refused(BadRequest, "reply markup is too long", bot.send_message(OLGA, "x", reply_markup=InlineKeyboardMarkup([row])))


async def send_files(bot, control):
    """Uploads, and what is sent again by its identifier."""
    act = bytes(range(256)) * 400
    sent = await bot.send_document(OLGA, act, caption="<b>act</b>", parse_mode=ParseMode.HTML, filename="act.pdf")
    check(sent.caption == "act" and sent.caption_entities[0].type == MessageEntityType.BOLD, "a caption is formatted")
    check(sent.document.file_name == "act.pdf" and sent.document.file_size == len(act), "a document is uploaded")
    there = await sent.document.get_file()
    check(bytes(await there.download_as_bytearray()) == act, "and downloaded again")
    again = await bot.send_document(OLGA, sent.document.file_id)
    check(again.document.file_unique_id == sent.document.file_unique_id, "its identifier sends it again")
    await refused(BadRequest, "can't use file of type Document as Photo", bot.send_photo(OLGA, sent.document.file_id))
    await refused(BadRequest, "PHOTO_INVALID_DIMENSIONS", bot.send_photo(OLGA, act))
    await refused(BadRequest, "caption is too long", bot.send_document(OLGA, act, caption="x" * 1025))
    photo = await bot.send_photo(OLGA, PNG, caption="look")
    check((photo.photo[-1].width, photo.photo[-1].height) == (640, 480), "a photo is measured")
    reply = await bot.send_photo(OLGA, photo.photo[-1], reply_parameters=ReplyParameters(photo.message_id))
    check(reply.reply_to_message.message_id == photo.message_id, "a photo replies")


async def standing(bot, control, inbox):
    """Who may be written to."""
    control.order("block", chat=PETER)
    member = (await inbox.take()).my_chat_member
    check(member.new_chat_member.status == ChatMemberStatus.BANNED, "blocking is told")
    await refused(Forbidden, "bot was blocked by the user", bot.send_message(PETER, "hello"))
    control.order("unblock", chat=PETER)
    member = (await inbox.take()).my_chat_member
    check(member.new_chat_member.status == ChatMemberStatus.MEMBER, "unblocking is told")
    check((await bot.send_message(PETER, "hello")).chat.id == PETER, "and writing works again")
    control.order("customer", chat=STRANGER, first_name="Stranger")
    await refused(Forbidden, "can't initiate conversation", bot.send_message(STRANGER, "hello"))
    await refused(BadRequest, "chat not found", bot.send_message(123456, "hello"))
    control.order("migrate", **{"chat": GROUP, "to": NEXT_GROUP, "from": PETER})
    check((await inbox.take()).message.migrate_to_chat_id == NEXT_GROUP, "a migration is told in the old chat")
    check((await inbox.take()).message.migrate_from_chat_id == GROUP, "and in the new one")
    try:
        await bot.send_message(GROUP, "hello")
        raise Mismatch("a migrated group took a message")
    except TelegramError as error:
        check(getattr(error, "new_chat_id", None) == NEXT_GROUP, f"{type(error).__name__}: {error}")


async def limits(bot, control):
    """429 with its seconds, and its end."""
    control.order("limits", enforce=True, private={"count": 2, "window_ms": 1500})
    fresh = 700100300
    control.order("start", chat=fresh)
    await bot.send_message(fresh, "one")
    await bot.send_message(fresh, "two")
    began = time.monotonic()
    error = await refused(RetryAfter, "retry in", bot.send_message(fresh, "three"))
    wait = error.retry_after.total_seconds()
    check(1 <= wait <= 2, f"told to wait {wait} s")
    await refused(RetryAfter, "retry in", bot.send_message(fresh, "still"))
    await asyncio.sleep(wait - (time.monotonic() - began) + 0.05)
    check((await bot.send_message(fresh, "three")).text == "three", "after the wait it goes")
    control.order("limits", enforce=False)


async def conflicts(bot, other, control, inbox):
    """One poll at a time, and none beside a webhook. `other` is a second instance with the same token."""
    while await bot.get_updates(offset=inbox.offset, timeout=0):
        inbox.offset = (await inbox.take()).update_id + 1
    polls = control.state()["polls"]["count"]
    first = asyncio.create_task(bot.get_updates(offset=inbox.offset, timeout=20, read_timeout=30))
    while control.state()["polls"]["count"] == polls or not control.state()["polls"]["waiting"]:
        await asyncio.sleep(0.01)
    second = asyncio.create_task(other.get_updates(offset=inbox.offset, timeout=20, read_timeout=30))
    await refused(Conflict, "terminated by other getUpdates request", first)
    check(not second.done(), "the newer poll goes on waiting")
    control.order("message", chat=OLGA, text="for the newer one")
    check((await second)[0].message.text == "for the newer one", "and gets the next update")
    check(await bot.set_webhook("https://bot.example.org/hook", secret_token="s3cret"), "a webhook is set")
    check((await bot.get_webhook_info()).url == "https://bot.example.org/hook", "and told")
    await refused(Conflict, "can't use getUpdates method while webhook is active", bot.get_updates())
    check(await bot.delete_webhook(drop_pending_updates=True), "it is deleted")
    check((await bot.get_webhook_info()).pending_update_count == 0, "with everything that waited")


async def drive(args):
    base = args.base.rstrip("/")
    control = Control(base, args.acct)
    try:
        await Bot("42:wrong", base_url=f"{base}/bot").get_me()
        raise Mismatch("a wrong token was accepted")
    except InvalidToken as error:
        check(True, f"InvalidToken: {error}")
    bot, other = (Bot(args.token, base_url=f"{base}/bot", base_file_url=f"{base}/file/bot") for _ in range(2))
    async with bot, other:
        me = await bot.get_me()
        check(me.is_bot and me.id == int(args.token.split(":")[0]), f"getMe: {me.username}")
        # The client asks the same offset again on purpose; the platform's brake on that has its own test.
        control.order("limits", poll_guard=False)
        inbox = Inbox(bot)
        await receive(bot, control, inbox)
        await send(bot, control, inbox)
        await send_files(bot, control)
        await receive_kinds(bot, control, inbox)
        await send_kinds(bot, control)
        await change(bot, control)
        await menu(bot, control)
        await inbox.drain()
        await standing(bot, control, inbox)
        await limits(bot, control)
        await conflicts(bot, other, control, inbox)
    print("everything holds")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--base", required=True, help="address of the simulator")
    parser.add_argument("--token", required=True, help="the bot's token")
    parser.add_argument("--acct", default="support", help="the bot's name in the control API")
    try:
        asyncio.run(drive(parser.parse_args()))
    except Mismatch as mismatch:
        sys.exit(f"MISMATCH  {mismatch}")


if __name__ == "__main__":
    main()
