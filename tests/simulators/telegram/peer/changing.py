"""Messages that change, go elsewhere and vanish; the bot's menu; people's profile photos."""

from telegram import (
    BotCommand,
    BotCommandScopeAllPrivateChats,
    BotCommandScopeChat,
    InlineKeyboardButton,
    InlineKeyboardMarkup,
    InputMediaPhoto,
    MenuButtonCommands,
    MenuButtonWebApp,
    WebAppInfo,
)
from telegram.error import BadRequest

from talk import OLGA, PETER, PNG, check, refused


async def change(bot, control):
    """Edits, deletions, forwards, copies."""
    photo = await bot.send_photo(OLGA, PNG, caption="old")
    edited = await bot.edit_message_caption(OLGA, photo.message_id, caption="new")
    check(edited.caption == "new" and edited.edit_date is not None, "a caption is edited")
    await refused(BadRequest, "message is not modified", bot.edit_message_caption(OLGA, photo.message_id, caption="new"))
    other = await bot.edit_message_media(InputMediaPhoto(PNG + b"other", caption="other"), OLGA, photo.message_id)
    check(other.photo[-1].file_unique_id != photo.photo[-1].file_unique_id, "a photo is exchanged")
    keyboard = InlineKeyboardMarkup.from_button(InlineKeyboardButton("Yes", callback_data="y"))
    keyed = await bot.edit_message_reply_markup(OLGA, photo.message_id, reply_markup=keyboard)
    check(keyed.reply_markup == keyboard, "buttons are put under it")
    check((await bot.edit_message_reply_markup(OLGA, photo.message_id)).reply_markup is None, "and taken away")
    await refused(BadRequest, "there is no text in the message", bot.edit_message_text("x", OLGA, photo.message_id))

    said = control.order("message", chat=OLGA, text="hello", first_name="Olga")["message_id"]
    forwarded = await bot.forward_message(PETER, OLGA, said)
    check(forwarded.forward_origin.sender_user.id == OLGA and forwarded.text == "hello", "a forward names its author")
    several = await bot.forward_messages(PETER, OLGA, [photo.message_id, said])
    check(len(several) == 2, "several are forwarded at once")
    copy = await bot.copy_message(PETER, OLGA, photo.message_id, caption="copied")
    check(copy.message_id > several[1].message_id, "a copy is a new message")
    check(len(await bot.copy_messages(PETER, OLGA, [photo.message_id, said])) == 2, "several are copied at once")
    await refused(BadRequest, "message to forward not found", bot.forward_message(PETER, OLGA, 999_999))
    await refused(BadRequest, "message to copy not found", bot.copy_message(PETER, OLGA, 999_999))
    secret = await bot.send_message(OLGA, "secret", protect_content=True)
    await refused(BadRequest, "can't be forwarded", bot.forward_message(PETER, OLGA, secret.message_id))
    check(await bot.delete_messages(OLGA, [photo.message_id, secret.message_id]), "several are deleted at once")
    await refused(BadRequest, "message to delete not found", bot.delete_message(OLGA, secret.message_id))


async def menu(bot, control):
    """Commands, the menu's button, and what the bot may see of people."""
    for scope in (None, BotCommandScopeAllPrivateChats(), BotCommandScopeChat(OLGA)):
        commands = [BotCommand("help", "what I can do")]
        check(await bot.set_my_commands(commands, scope=scope), "commands are set")
        check(list(await bot.get_my_commands(scope=scope)) == commands, "and told")
        check(await bot.delete_my_commands(scope=scope), "and deleted")
        check(await bot.get_my_commands(scope=scope) == (), "and gone")
    check(await bot.get_chat_menu_button() == MenuButtonCommands(), "the menu shows commands")
    shop = MenuButtonWebApp("Shop", WebAppInfo("https://example.org/"))
    check(await bot.set_chat_menu_button(OLGA, shop), "a chat gets a button of its own")
    check(await bot.get_chat_menu_button(OLGA) == shop, "and shows it")
    check(await bot.set_chat_menu_button(OLGA), "until it is as everywhere")
    check((await bot.get_user_profile_photos(OLGA)).total_count == 0, "nobody sees a face")
    control.face(PNG, OLGA)
    photos = await bot.get_user_profile_photos(OLGA, limit=1)
    check(photos.total_count == 1 and photos.photos[0][-1].width == 640, "until it is shown")
    whole = await (await bot.get_file(photos.photos[0][-1])).download_as_bytearray()
    check(bytes(whole) == PNG, "it is downloaded")
    check((await bot.get_chat(OLGA)).photo.big_file_id == photos.photos[0][-1].file_id, "getChat tells it, too")
